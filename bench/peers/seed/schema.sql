create table events (
  id          bigint generated always as identity primary key,
  delivery    text not null unique,
  type        text not null,
  headers     json not null,
  body        bytea not null,
  status      text not null default 'queued',
  received_at timestamptz not null default now(),
  done_at     timestamptz
);
