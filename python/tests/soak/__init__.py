"""A soak: reads of every kind for a long time, while they are cancelled and their servers fail. `make soak`.

The process that is looked at (`worker`) has nothing in it but the package, what reads with it, and what counts.
Servers, the proxy in front of one and whatever breaks them (`faults`) belong to the process that started it (`run`).
That one judges what was found (`checks`) and writes it down (`page`).
"""
