"""All groups, in the order of the tables: importing the modules of jobs registers them."""

import jobs
import odm_jobs
import query_jobs
import write_jobs
from registry import GROUPS

__all__ = ["GROUPS", "jobs", "odm_jobs", "query_jobs", "write_jobs"]
