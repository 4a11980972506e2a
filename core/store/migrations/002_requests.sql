-- Senders such as Meta and HubSpot deliver several facts in one request: each is an event, and the bytes are kept once.
create table requests (
  id           text collate "C" primary key,
  method       text not null,
  url          text not null,
  headers      json not null,
  body         bytea storage external not null
);
alter table events add column request_id text collate "C";
