"""The worker process: takes jobs, runs their stages, reconciles what was lost."""
