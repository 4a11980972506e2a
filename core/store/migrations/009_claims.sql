-- A claim finds its rows again by their place (ctid), not once more by their id. Pauses are held by the statement itself.
drop function hold_pauses;
create or replace function claim_runs(me text, most integer)
  returns table (id text, event_id text, handler text, version text, attempts integer, max_attempts integer, delays integer[], claim integer,
    integrity text, privacy text, limits jsonb, usd double precision, worked_ms bigint, started_at timestamptz)
  language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off as $$
#variable_conflict use_column
declare
  taken integer := 0;
begin
  if exists (select from runs where status = 'queued' and key is not null) and pg_try_advisory_xact_lock(7240424201) then
    return query
      with recursive waiting_key as (
        (select key from runs where status = 'queued' and key is not null order by key limit 1)
        union all
        select (select r.key from runs r where r.status = 'queued' and r.key is not null and r.key > k.key order by r.key limit 1)
        from waiting_key k where k.key is not null
      ), free as (
        select r.id from waiting_key k cross join lateral (
          select q.id, q.priority, q.key_limit, row_number() over (order by q.priority desc, q.id) as place
          from (select id, priority, key_limit from runs
                where status = 'queued' and key = k.key order by priority desc, id limit 100) q
        ) r
        where k.key is not null
          and r.place <= r.key_limit - (select count(*) from runs b where b.status = 'running' and b.key = k.key)
        order by r.priority desc, r.id limit most
      ), mine as (select id from runs where id in (select id from free) for update skip locked)
      update runs set status = 'running', worker = me, claim = claim + 1, started_at = coalesce(started_at, clock_timestamp()), wake_at = null, waiting = null
      from mine where runs.id = mine.id and runs.status = 'queued'
      returning runs.id, runs.event_id, runs.handler, runs.version, runs.attempts, runs.max_attempts, runs.delays, runs.claim,
        runs.integrity, runs.privacy, runs.limits, runs.usd, runs.worked_ms, runs.started_at;
    get diagnostics taken = row_count;
  end if;
  return query
    with mine as (
      select ctid as place from runs where status = 'queued' and key is null
      order by priority desc, id limit most - taken for update skip locked
    )
    update runs set status = 'running', worker = me, claim = claim + 1, started_at = coalesce(started_at, clock_timestamp()), wake_at = null, waiting = null
    from mine where runs.ctid = mine.place
    returning runs.id, runs.event_id, runs.handler, runs.version, runs.attempts, runs.max_attempts, runs.delays, runs.claim,
      runs.integrity, runs.privacy, runs.limits, runs.usd, runs.worked_ms, runs.started_at;
end $$;
