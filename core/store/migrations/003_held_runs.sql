-- A run may be held back before it begins: while it gathers a burst of events, while its trigger or source is paused,
-- and until its rate allows it.
alter table runs add column burst text, add column rate text, add column rate_limit integer, add column rate_ms bigint;
-- While it is there, new events of the burst join this run; whatever begins or ends the run takes it away.
create unique index runs_burst on runs (burst) where burst is not null;
create index runs_held on runs (id) where status = 'waiting' and started_at is null;
create index runs_of_rate on runs (rate, started_at, status, priority desc, id) where rate is not null;

-- A run's start is the time of its claim, not of the transaction around it: rates are counted by it.
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
      select id from runs where status = 'queued' and key is null
      order by priority desc, id limit most - taken for update skip locked
    )
    update runs set status = 'running', worker = me, claim = claim + 1, started_at = coalesce(started_at, clock_timestamp()), wake_at = null, waiting = null
    from mine where runs.id = mine.id
    returning runs.id, runs.event_id, runs.handler, runs.version, runs.attempts, runs.max_attempts, runs.delays, runs.claim,
      runs.integrity, runs.privacy, runs.limits, runs.usd, runs.worked_ms, runs.started_at;
end $$;

-- Of these names those that are paused. They stay so until the transaction ends: whoever resumes waits for it.
-- A function, because the planner would believe a table that is nearly always empty to be a large one.
create function hold_pauses(names text[]) returns text[] language plpgsql as $$
begin
  return array(select name from pauses where name = any(names) for key share);
end $$;

-- What holds a run back that has not begun and gathers no events: a pause, else its rate, else nothing (null).
create function held_by(paused text[], handler text, source text, rate_limit integer, rate_ms bigint) returns jsonb language sql stable as $$
  select case when handler = any(paused) then jsonb_build_object('kind', 'paused', 'name', handler)
    when 'source:' || source = any(paused) then jsonb_build_object('kind', 'paused', 'name', 'source:' || source)
    when rate_limit is not null then jsonb_build_object('kind', 'rate', 'limit', rate_limit, 'milliseconds', rate_ms) end
$$;

-- Queues the runs whose turn it is by these rates, the oldest first, and tells the others when theirs will be: those
-- of `fresh`, which do not know it yet, and those whose turn comes later than they were told.
-- A rate counts what has begun within its time and what may begin at any moment, being queued; whoever counts holds
-- the rate until the commit. So however late a queued run begins, never more than `rate_limit` begin within `rate_ms`.
create function give_turns(rates text[], fresh text[]) returns void language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  name text;
  most integer;
  span interval;
  begun timestamptz[];
  told timestamptz[];
begin
  for name in select distinct r from unnest(rates) r order by r loop
    perform pg_advisory_xact_lock(hashtextextended(name, 7240424202));
    select rate_limit, rate_ms * interval '1 ms' into most, span from runs
    where rate = name and started_at is null and status = 'waiting' order by priority, id desc limit 1;
    continue when most is null;
    begun := array(select started_at from runs where rate = name and started_at > now() - span)
      || array(select now() from runs where rate = name and started_at is null and status = 'queued');
    with turn as (
      update runs set status = 'queued', wake_at = null, waiting = null
      where status = 'waiting' and id in (
        select id from runs where rate = name and started_at is null and status = 'waiting' and waiting ->> 'kind' = 'rate'
        order by priority desc, id limit greatest(most - cardinality(begun), 0))
      returning id
    ) select begun || array_agg(now()) into begun from turn;
    -- Of the slots that are taken, the place-th to become free, round after round.
    begun := array(select at from unnest(begun) at order by at desc limit most);
    update runs set wake_at = late.at
    from (
      select id, coalesce(begun[most - place % most] + span * (1 + place / most), now()) as at from (
        select id, row_number() over (order by priority desc, id)::integer - 1 as place from runs
        where rate = name and started_at is null and status = 'waiting' and waiting ->> 'kind' = 'rate' and wake_at is not null
        order by priority desc, id limit 1000) q) late
    where runs.id = late.id and status = 'waiting' and (wake_at <= now() or wake_at < late.at - interval '1 s');
    told := array(select at from (
      select unnest(begun) as at
      union all (select wake_at from runs where rate = name and started_at is null and status = 'waiting'
        and waiting ->> 'kind' = 'rate' and wake_at is not null order by priority, id desc limit most)
    ) t order by at desc limit most);
    update runs set wake_at = coalesce(told[most - place % most] + span * (1 + place / most), now())
    from (
      select id, row_number() over (order by priority desc, id)::integer - 1 as place from runs
      where id = any(fresh) and rate = name and started_at is null and status = 'waiting' and waiting ->> 'kind' = 'rate') late
    where runs.id = late.id and status = 'waiting';
  end loop;
end $$;

create table bursts (
  run_id       text collate "C" not null,
  event_id     text collate "C" not null,
  primary key (run_id, event_id)
);
create index bursts_of_event on bursts (event_id);

-- `trigger:capability/name`, the handler, or `source:name`.
create table pauses (
  name         text primary key,
  since        timestamptz not null default now()
);
