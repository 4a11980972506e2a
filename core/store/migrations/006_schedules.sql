-- Schedules of people and agents stand in the table beside those of code, with what is to be done, and each row
-- carries its policy and what became of its runs.
alter table schedules alter column cron drop not null;
alter table schedules add column origin text not null default 'code' check (origin in ('code', 'owner', 'agent'));
alter table schedules alter column origin drop default;
alter table schedules add column description text;
alter table schedules add column policy jsonb not null default '{"catchup": "one", "window": "7d", "overlap": "skip", "jitter": "0s", "onFailure": {"after": 1}, "onRecovery": true}';
alter table schedules alter column policy drop default;
alter table schedules add column agent text;
alter table schedules add column text text;
alter table schedules add column conversation_id text collate "C";
alter table schedules add column integrity text not null default 'trusted';
alter table schedules add column privacy text not null default 'private';
alter table schedules add column due_at timestamptz;
update schedules set due_at = next_at;
alter table schedules add column held_at timestamptz;
alter table schedules add column watched text[] not null default '{}';
alter table schedules add column failures integer not null default 0;
alter table schedules add column alarmed boolean not null default false;
alter table schedules add column created_at timestamptz not null default now();
drop index schedules_due;
create index schedules_due on schedules (due_at) where not paused;
create index schedules_watched on schedules (name) where watched <> '{}';
