-- The whole current schema of Daimon, on one page.
--
-- The world, the clock and a person each bring an event. In the transaction that keeps the event its runs
-- are queued; that row *is* the queue entry, the status and the history. A worker claims a run, carries it
-- step by step, and keeps each step's value before the next one begins.
--
--   events         facts that came in, raw bytes and all; never changed. Unique by (source, key).
--   requests       a raw request that brought several events, kept once for all of them.
--   runs           one execution of a handler each. `claim` is the fence: it grows with every claim, and
--                  whoever writes with an older one writes nothing.
--   steps          named checkpoints of a run. A completed step is never executed again.
--   bursts         the events of a run that gathers several: all of them, oldest first by their ids.
--   waits          what a waiting run waits for, so that a new event finds it.
--   pauses         triggers and sources that begin no run until they are resumed.
--   repairs        what a replay of many events, or a retry of many runs, is to do and has done: a row for each.
--   messages       one message in or out; those going out are the outbox, with their delivery state.
--   conversations  the messages with one person in one channel.
--   schedules      the clock's table: what fires when, whose it is, its policy, and whether it is paused.
--   approvals      a person's answer to one exact action.
--   spend          what each scope (a run, a day, a month) has reserved and settled, in US dollars.
--   reservations   money held for a model call that is under way.
--   refusals       requests that were not let in: a count and a reason, nothing of their content.
--   processes      who is alive: webs, workers and clocks. Its row is a worker's lease on all runs it carries.
--   logins         one-time codes and sessions and tokens: only hashes.
--   switches       small facts of the whole system, such as STOP.
--   issues         what is wrong, once for all runs and messages that failed of the same cause, for a source that fell
--                  silent, and for a payload that changed its shape.
--   watches        since when a source or a schedule is set up: from then on its silence counts.
--   shapes         what the payloads of a source and type look like, as learned from the first of them.
--
-- A run's life is drawn in core/define/run.ts. `queued` means ready now; whatever must wait for a time or a
-- fact is `waiting`, so that the claim reads only rows that it can take. Finished runs are in no hot index:
-- a million of them cost a claim nothing.
--
-- A run that has not begun (`started_at` is null) may be held back, by one thing after the other: it gathers the
-- events of its burst, then its trigger or source is paused, then it waits for its turn in the rate.

create table events (
  id           text collate "C" primary key,
  source       text not null,
  type         text not null,
  key          text not null,
  received_at  timestamptz not null default now(),
  time         timestamptz not null,
  data         jsonb,
  problem      text,
  outcome      text not null check (outcome in ('dispatched', 'ignored', 'filtered', 'skipped', 'dead')),
  reason       text,
  integrity    text not null check (integrity in ('trusted', 'untrusted')),
  privacy      text not null check (privacy in ('public', 'private', 'secret')),
  parent_run   text collate "C",
  method       text,
  url          text,
  headers      json,
  body         bytea,
  request_id   text collate "C",
  replay_of    text collate "C"
) with (toast_tuple_target = 8160);
alter table events alter column body set storage external;
create unique index events_delivery on events (source, key);
create index events_kind on events (source, type, id);
create index events_unread on events (id) where problem is not null;
create index events_replays on events (replay_of) where replay_of is not null;

create table requests (
  id           text collate "C" primary key,
  method       text not null,
  url          text not null,
  headers      json not null,
  body         bytea not null
);
alter table requests alter column body set storage external;

-- An event's data: what was kept apart, else its parsed body. Null for a body that is not JSON, or that is JSON
-- which jsonb cannot hold (a NUL in a string).
create function event_data(data jsonb, body bytea) returns jsonb language plpgsql immutable as $$
begin
  return coalesce(data, convert_from(body, 'UTF8')::jsonb);
exception when others then return null;
end $$;

create table runs (
  id           text collate "C" primary key,
  event_id     text collate "C" not null,
  parent_id    text collate "C",
  handler      text not null,
  version      text,
  status       text not null default 'queued'
               check (status in ('queued', 'running', 'waiting', 'completed', 'failed', 'canceled')),
  priority     smallint not null default 0,
  key          text,
  key_limit    integer,
  burst        text,
  rate         text,
  rate_limit   integer,
  rate_ms      bigint,
  attempts     integer not null default 0,
  max_attempts integer not null default 1,
  delays       integer[] not null default '{}',
  crashes      integer not null default 0,
  claim        integer not null default 0,
  worker       text collate "C",
  wake_at      timestamptz,
  waiting      jsonb,
  cancel       boolean not null default false,
  integrity    text not null default 'trusted',
  privacy      text not null default 'public',
  limits       jsonb not null default '{}',
  usd          double precision not null default 0,
  worked_ms    bigint not null default 0,
  result       jsonb,
  error        jsonb,
  issue_id     text collate "C",
  created_at   timestamptz not null default now(),
  started_at   timestamptz,
  finished_at  timestamptz
) with (fillfactor = 80);
create index runs_ready on runs (priority desc, id) where status = 'queued' and key is null;
create index runs_ready_keyed on runs (key, priority desc, id) where status = 'queued' and key is not null;
create index runs_busy_key on runs (key) where status = 'running' and key is not null;
create index runs_of_worker on runs (worker) where status = 'running';
create index runs_asleep on runs (wake_at) where status = 'waiting' and wake_at is not null;
create index runs_of_event on runs (event_id);
create index runs_failed on runs (id) where status = 'failed';
-- While it is there, new events of the burst join this run; whatever begins or ends the run takes it away.
create unique index runs_burst on runs (burst) where burst is not null;
create index runs_held on runs (id) where status = 'waiting' and started_at is null;
create index runs_of_rate on runs (rate, started_at, status, priority desc, id) where rate is not null;
create index runs_of_parent on runs (parent_id) where parent_id is not null;
create index runs_of_issue on runs (issue_id, id) where issue_id is not null;
create index runs_of_schedule on runs (handler) where status in ('queued', 'running', 'waiting') and handler like 'schedule:%';

-- The three functions of a worker, which it calls a thousand times a second. They read by index, row by row,
-- whatever the planner believes: of a table that has just been filled it knows nothing, and keeps to its plan. To plan
-- them again for each number of rows costs as much as carrying them out. What they are forbidden looks so dear to a server
-- before 18 that it would compile each plan for seconds (jit).

-- Hands at most `most` ready runs to a worker. Runs without a key are taken by priority and age, past those
-- that another worker is taking. Of each key at most `key_limit` run at a time: that needs the running ones to
-- be counted while nobody else counts, so one worker at a time looks at keyed runs (the others look again soon).
-- The keys are walked one by one along the index, so a key with a long queue costs no more than a short one.
create function claim_runs(me text, most integer)
  returns table (id text, event_id text, handler text, version text, attempts integer, max_attempts integer, delays integer[], claim integer,
    integrity text, privacy text, limits jsonb, usd double precision, worked_ms bigint, started_at timestamptz, keyed boolean)
  language plpgsql
  set jit = off set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off as $$
#variable_conflict use_column
declare
  taken integer := 0;
begin
  -- A claim that was on its way when STOP came brings nothing.
  if exists (select from switches where name = 'stop' and value = 'true'::jsonb) then return; end if;
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
        runs.integrity, runs.privacy, runs.limits, runs.usd, runs.worked_ms, runs.started_at, true;
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
      runs.integrity, runs.privacy, runs.limits, runs.usd, runs.worked_ms, runs.started_at, false;
end $$;

-- Lets runs go, and returns the ids of those that were still the caller's: `claim` is the fence, and a run has a
-- worker exactly while it is running. One that was canceled meanwhile does not wait for anything.
create function release_runs(ids text[], claims integer[], statuses text[], versions text[], tries integer[], results jsonb[], errors jsonb[],
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
  set jit = off set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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

create table steps (
  run_id       text collate "C" not null,
  key          text not null,
  kind         text not null,
  status       text not null check (status in ('started', 'completed', 'failed')),
  value        jsonb,
  error        jsonb,
  attempt      integer not null,
  integrity    text not null default 'trusted',
  privacy      text not null default 'public',
  detail       jsonb,
  usd          double precision not null default 0,
  started_at   timestamptz not null,
  finished_at  timestamptz,
  primary key (run_id, key)
);
create index steps_models on steps (started_at) where kind = 'model';

-- Keeps steps of runs that are still the caller's, and returns which. The share lock makes a takeover of the run
-- and this write take turns: whoever comes second sees the other.
create function keep_steps(runs_of text[], claims integer[], keys text[], kinds text[], statuses text[], contents jsonb[], errors jsonb[],
  tries integer[], integrities text[], privacies text[], details jsonb[], dollars double precision[], starts timestamptz[], ends timestamptz[])
  returns table (run_id text, key text) language plpgsql
  set jit = off set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
    with ours as (
      select i.* from unnest(runs_of, claims, keys, kinds, statuses, contents, errors, tries, integrities, privacies, details, dollars, starts, ends)
        as i(run_id, claim, key, kind, status, value, error, attempt, integrity, privacy, detail, usd, started_at, finished_at)
      join runs r on r.id = i.run_id and r.claim = i.claim and r.worker is not null for share of r
    )
    insert into steps (run_id, key, kind, status, value, error, attempt, integrity, privacy, detail, usd, started_at, finished_at)
    select o.run_id, o.key, o.kind, o.status, o.value, o.error, o.attempt, o.integrity, o.privacy, o.detail, o.usd, o.started_at, o.finished_at
    from ours o
    on conflict (run_id, key) do update set status = excluded.status, value = excluded.value, error = excluded.error,
      attempt = excluded.attempt, integrity = excluded.integrity, privacy = excluded.privacy, detail = excluded.detail,
      usd = steps.usd + excluded.usd, finished_at = excluded.finished_at
    where steps.status <> 'completed'
    returning steps.run_id, steps.key;
end $$;

create table waits (
  run_id       text collate "C" not null,
  step         text not null,
  source       text not null,
  types        text[] not null,
  match        jsonb not null,
  since        text collate "C" not null,
  created_at   timestamptz not null default now(),
  primary key (run_id, step)
);
create index waits_source on waits (source);

-- `trigger:capability/name`, the handler, or `source:name`.
create table pauses (
  name         text primary key,
  since        timestamptz not null default now()
);

-- `order_id` is the run that does it; `run_ids` is null until its turn has come, then the runs that came of it.
create table repairs (
  order_id     text collate "C" not null,
  target_id    text collate "C" not null,
  run_ids      text[],
  primary key (order_id, target_id)
);
create index repairs_open on repairs (order_id, target_id) where run_ids is null;

create table conversations (
  id           text collate "C" primary key,
  channel      text not null,
  external     text not null,
  title        text,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  unique (channel, external)
);

create table messages (
  id              text collate "C" primary key,
  conversation_id text collate "C" not null references conversations,
  direction       text not null check (direction in ('in', 'out')),
  author          text not null,
  text            text not null,
  state           text not null check (state in ('pending', 'sending', 'delivered', 'failed', 'unknown')),
  run_id          text collate "C",
  event_id        text collate "C",
  step            text,
  detail          jsonb,
  attempts        integer not null default 0,
  due_at          timestamptz not null default now(),
  error           jsonb,
  issue_id        text collate "C",
  external_id     text,
  created_at      timestamptz not null default now()
);
create index messages_of_conversation on messages (conversation_id, id);
create unique index messages_of_step on messages (run_id, step) where step is not null;
create index messages_outbox on messages (due_at) where state in ('pending', 'sending');
create index messages_of_issue on messages (issue_id, id) where issue_id is not null;

-- `next_at` is nominal; `due_at` is when a clock looks at it next: with its jitter, or soon, for a tick that waits its
-- turn (`held_at`). `watched` are runs whose end has not been counted. No `cron`: it fires once.
create table schedules (
  name         text primary key,
  cron         text,
  zone         text not null,
  next_at      timestamptz,
  last_at      timestamptz,
  paused       boolean not null default false,
  origin       text not null check (origin in ('code', 'owner', 'agent')),
  description  text,
  policy       jsonb not null,
  agent        text,
  text         text,
  conversation_id text collate "C",
  integrity    text not null default 'trusted',
  privacy      text not null default 'private',
  due_at       timestamptz,
  held_at      timestamptz,
  watched      text[] not null default '{}',
  failures     integer not null default 0,
  alarmed      boolean not null default false,
  created_at   timestamptz not null default now()
);
create index schedules_due on schedules (due_at) where not paused;
create index schedules_watched on schedules (name) where watched <> '{}';

create table approvals (
  id           text collate "C" primary key,
  run_id       text collate "C" not null,
  step         text not null,
  title        text not null,
  action       jsonb not null,
  digest       text not null,
  status       text not null default 'waiting' check (status in ('waiting', 'approved', 'denied', 'expired')),
  expires_at   timestamptz not null,
  answered_at  timestamptz,
  answered_by  text,
  created_at   timestamptz not null default now(),
  unique (run_id, step)
);
create index approvals_waiting on approvals (id) where status = 'waiting';
create index approvals_answered on approvals (answered_at) where answered_at is not null;

create table spend (
  scope        text primary key,
  spent        numeric not null default 0,
  reserved     numeric not null default 0
);

create table reservations (
  id           text collate "C" primary key,
  run_id       text collate "C" not null,
  step         text not null,
  scopes       text[] not null,
  usd          numeric not null,
  expires_at   timestamptz not null
);
create index reservations_expiry on reservations (expires_at);
create index reservations_of_run on reservations (run_id);

create table refusals (
  source       text not null,
  reason       text not null,
  count        bigint not null default 0,
  first_at     timestamptz not null default now(),
  last_at      timestamptz not null default now(),
  primary key (source, reason)
);

-- `backend` is the server's end of the connection on which a process was last heard: it is gone the moment that
-- the process is. `pid` is its number where processes are counted in `pid_space`: its neighbours see that it is gone.
create table processes (
  id           text collate "C" primary key,
  roles        text[] not null,
  backend      integer not null default pg_backend_pid(),
  started_at   timestamptz not null default now(),
  seen_at      timestamptz not null default now(),
  pid          integer,
  pid_space    text
);

create table logins (
  hash         text primary key,
  kind         text not null check (kind in ('code', 'session', 'token')),
  name         text not null,
  scopes       text[] not null default '{}',
  created_at   timestamptz not null default now(),
  seen_at      timestamptz,
  expires_at   timestamptz not null
);

create table switches (
  name         text primary key,
  value        jsonb not null,
  changed_at   timestamptz not null default now()
);

-- One row for each cause, however often it opens: `closed_at` is when it was last closed. `about` is a handler,
-- `channel:<name>`, a source, or a source and a type. `unsettled` is one of its runs that is not put right, `told_at` is
-- when the owner was told of this opening.
create table issues (
  id           text collate "C" primary key,
  kind         text not null check (kind in ('failure', 'silence', 'shape')),
  about        text not null,
  fingerprint  text not null,
  title        text not null,
  detail       jsonb,
  status       text not null default 'open' check (status in ('open', 'closed')),
  count        bigint not null,
  openings     integer not null default 1,
  first_at     timestamptz not null,
  last_at      timestamptz not null,
  opened_at    timestamptz not null,
  closed_at    timestamptz,
  closed_by    text,
  unsettled    text collate "C",
  told_at      timestamptz
);
create unique index issues_cause on issues (kind, about, fingerprint);
create index issues_last on issues (last_at, id);
create index issues_open on issues (kind) where status = 'open';

-- A run of an issue that was not put right, `known` if that is one, else the newest: of one of its events (of a burst it
-- has several) no retry or replay, with its payload or another, has completed. Null when there is none. A canceled run is
-- not asked for.
create function unsettled_run(issue text, known text) returns text language plpgsql stable
  set jit = off set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  found text;
begin
  for found in
    (select id from runs where id = known and issue_id = issue) union all (select id from runs where issue_id = issue order by id desc)
  loop
    if exists (select from runs r cross join lateral (select r.event_id union select b.event_id from bursts b where b.run_id = r.id) o
        where r.id = found and r.status not in ('completed', 'canceled')
        and not exists (select from runs n where n.event_id = o.event_id and n.handler = r.handler and n.id > r.id and n.status = 'completed')
        and not exists (select from bursts b join runs n on n.id = b.run_id
                        where b.event_id = o.event_id and n.handler = r.handler and n.id > r.id and n.status = 'completed')
        and not exists (select from events e join runs n on n.event_id = e.id
                        where e.replay_of = o.event_id and n.handler = r.handler and n.status = 'completed')) then
      return found;
    end if;
  end loop;
  return null;
end $$;

create table watches (
  about        text primary key,
  since        timestamptz not null
);

create table shapes (
  source       text not null,
  type         text not null,
  seen         integer not null,
  paths        jsonb not null,
  event_id     text collate "C" not null,
  primary key (source, type)
);
