"""Running a plan: ledger, shards, executors; what is done stays done."""
