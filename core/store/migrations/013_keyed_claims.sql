-- A claim says of each run whether it has a key, so that the next one of that key is claimed as soon as this one has ended (claim_runs).
drop function claim_runs(text, integer);
