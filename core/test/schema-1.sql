-- Number 1, before the first migration: what `core/store/migrate.test.ts` begins with. Never changed.

-- The whole current schema of Daimon, on one page.
--
-- The world, the clock and a person each bring an event. In the transaction that keeps the event its runs
-- are queued; that row *is* the queue entry, the status and the history. A worker claims a run, carries it
-- step by step, and keeps each step's value before the next one begins.
--
--   events         facts that came in, raw bytes and all; never changed. Unique by (source, key).
--   runs           one execution of a handler each. `claim` is the fence: it grows with every claim, and
--                  whoever writes with an older one writes nothing.
--   steps          named checkpoints of a run. A completed step is never executed again.
--   waits          what a waiting run waits for, so that a new event finds it.
--   messages       one message in or out; those going out are the outbox, with their delivery state.
--   conversations  the messages with one person in one channel.
--   schedules      the clock's table: when each fires next, and whether it is paused.
--   approvals      a person's answer to one exact action.
--   spend          what each scope (a run, a day, a month) has reserved and settled, in US dollars.
--   reservations   money held for a model call that is under way.
--   refusals       requests that were not let in: a count and a reason, nothing of their content.
--   processes      who is alive: webs, workers and clocks. Its row is a worker's lease on all runs it carries.
--   logins         one-time codes and sessions and tokens: only hashes.
--   switches       small facts of the whole system, such as STOP.
--
-- A run's life is drawn in core/define/run.ts. `queued` means ready now; whatever must wait for a time or a
-- fact is `waiting`, so that the claim reads only rows that it can take. Finished runs are in no hot index:
-- a million of them cost a claim nothing.

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
  body         bytea storage external
) with (toast_tuple_target = 8160);
create unique index events_delivery on events (source, key);
create index events_kind on events (source, type, id);

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
create index runs_of_schedule on runs (handler) where status in ('queued', 'running', 'waiting') and handler like 'schedule:%';

-- The three functions of a worker, which it calls a thousand times a second. They read by index, row by row,
-- whatever the planner believes: of a table that has just been filled it knows nothing, and keeps to its plan.

-- Hands at most `most` ready runs to a worker. Runs without a key are taken by priority and age, past those
-- that another worker is taking. Of each key at most `key_limit` run at a time: that needs the running ones to
-- be counted while nobody else counts, so one worker at a time looks at keyed runs (the others look again soon).
-- The keys are walked one by one along the index, so a key with a long queue costs no more than a short one.
create function claim_runs(me text, most integer)
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
      update runs set status = 'running', worker = me, claim = claim + 1, started_at = coalesce(started_at, now()), wake_at = null, waiting = null
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
    update runs set status = 'running', worker = me, claim = claim + 1, started_at = coalesce(started_at, now()), wake_at = null, waiting = null
    from mine where runs.id = mine.id
    returning runs.id, runs.event_id, runs.handler, runs.version, runs.attempts, runs.max_attempts, runs.delays, runs.claim,
      runs.integrity, runs.privacy, runs.limits, runs.usd, runs.worked_ms, runs.started_at;
end $$;

-- Lets runs go, and returns the ids of those that were still the caller's: `claim` is the fence, and a run has a
-- worker exactly while it is running.
create function release_runs(ids text[], claims integer[], statuses text[], versions text[], tries integer[], results jsonb[], errors jsonb[],
  reasons jsonb[], wakes timestamptz[], integrities text[], privacies text[], dollars double precision[], times bigint[])
  returns setof text language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return query
    update runs r set status = i.status, version = i.version, attempts = i.attempts, result = i.result,
      error = i.error, waiting = i.waiting, wake_at = i.wake_at, integrity = i.integrity, privacy = i.privacy, usd = i.usd,
      worked_ms = i.worked_ms, worker = null, crashes = 0,
      finished_at = case when i.status in ('completed', 'failed', 'canceled') then now() end
    from unnest(ids, claims, statuses, versions, tries, results, errors, reasons, wakes, integrities, privacies, dollars, times)
      as i(id, claim, status, version, attempts, result, error, waiting, wake_at, integrity, privacy, usd, worked_ms)
    where r.id = i.id and r.claim = i.claim and r.worker is not null
    returning r.id;
end $$;

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
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
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
  external_id     text,
  created_at      timestamptz not null default now()
);
create index messages_of_conversation on messages (conversation_id, id);
create unique index messages_of_step on messages (run_id, step) where step is not null;
create index messages_outbox on messages (due_at) where state in ('pending', 'sending');

create table schedules (
  name         text primary key,
  cron         text not null,
  zone         text not null,
  next_at      timestamptz,
  last_at      timestamptz,
  paused       boolean not null default false
);
create index schedules_due on schedules (next_at) where not paused;

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
-- the process is.
create table processes (
  id           text collate "C" primary key,
  roles        text[] not null,
  backend      integer not null default pg_backend_pid(),
  started_at   timestamptz not null default now(),
  seen_at      timestamptz not null default now()
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
