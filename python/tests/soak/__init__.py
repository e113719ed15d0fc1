"""A soak test: reads of every kind for a long time, with cancellations and faults of the servers. `make soak`.

The process under test (`worker`) contains only the package, the reads and the counts of their results. The process that
starts it (`run`) owns the servers, the proxy in front of one of them, and the faults (`faults`). It checks the findings
(`checks`) and reports them (`page`).
"""
