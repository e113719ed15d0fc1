"""Model classes: fields, links, settings, registration, changes."""
