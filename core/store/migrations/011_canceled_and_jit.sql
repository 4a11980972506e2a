-- A run that is canceled in the moment in which it falls asleep ends there; one that waits so already ends now.
create or replace function release_runs(ids text[], claims integer[], statuses text[], versions text[], tries integer[], results jsonb[], errors jsonb[],
  reasons jsonb[], wakes timestamptz[], integrities text[], privacies text[], dollars double precision[], times bigint[])
  returns setof text language plpgsql
  set jit = off set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
begin
  return query
    update runs r set status = case when r.cancel and i.status = 'waiting' then 'canceled' else i.status end,
      version = i.version, attempts = i.attempts, result = i.result, error = i.error, waiting = case when not r.cancel then i.waiting end,
      wake_at = case when not r.cancel then i.wake_at end, integrity = i.integrity, privacy = i.privacy, usd = i.usd,
      worked_ms = i.worked_ms, worker = null, crashes = 0,
      finished_at = case when r.cancel or i.status in ('completed', 'failed', 'canceled') then now() end
    from unnest(ids, claims, statuses, versions, tries, results, errors, reasons, wakes, integrities, privacies, dollars, times)
      as i(id, claim, status, version, attempts, result, error, waiting, wake_at, integrity, privacy, usd, worked_ms)
    where r.id = i.id and r.claim = i.claim and r.worker is not null
    returning r.id;
end $$;
update runs set status = 'canceled', waiting = null, wake_at = null, finished_at = now() where cancel and status in ('queued', 'waiting');
-- Their plans look so dear that a server before 18 would compile each of them for seconds.
alter function claim_runs set jit = off;
alter function give_turns set jit = off;
alter function keep_steps set jit = off;
alter function unsettled_run set jit = off;
