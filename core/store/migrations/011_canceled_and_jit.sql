-- A run that is canceled in the moment in which it falls asleep ends there (release_runs); one that waits so already ends now.
update runs set status = 'canceled', waiting = null, wake_at = null, finished_at = now() where cancel and status in ('queued', 'waiting');
