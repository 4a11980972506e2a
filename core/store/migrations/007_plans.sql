-- Each second those answered within the last minute are looked for.
create index approvals_answered on approvals (answered_at) where answered_at is not null;
-- Planned anew for each number of rows, they took twice as long.
alter function release_runs set plan_cache_mode = force_generic_plan;
alter function keep_steps set plan_cache_mode = force_generic_plan;
