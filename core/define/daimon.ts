/**
 * The public face: what a capability imports as `"daimon"`. Each `defineX` returns its argument, so that a
 * capability is a plain value which the console, the CLI and a person can read without calling it.
 */
import { z } from "zod";
import type { Capability, Schedule, Trigger } from "./capability.ts";
import type { Channel } from "./channel.ts";
import type { Config } from "./config.ts";
import type { Handler } from "./context.ts";
import type { Tool } from "./tool.ts";
import type { Webhook } from "./webhook.ts";

/** How a capability asks the API of somebody else. */
export { type ApiCall, callApi } from "./call.ts";
export type { Capability, Schedule, Secret, Tick, Trigger } from "./capability.ts";
export type { Channel, Delivery } from "./channel.ts";
export type { Config, ModelChoice } from "./config.ts";
export type { Answer, Ask, Context, Handler, HubAccess, HubHit, Steps, Toolbox } from "./context.ts";
export type { DaimonEvent, EventMatch, Where } from "./event.ts";
export type { Label } from "./label.ts";
export type { Limits, RetryPolicy } from "./limits.ts";
/** What strangers wrote, read with a shape, and brought into a note or a prompt so that it stays text. */
export {
  fenced,
  fileNote,
  literal,
  type Note,
  notePath,
  oneLine,
  readPayload,
  renderNote,
  wrapUntrusted,
} from "./note.ts";
/** How known senders sign: `defineWebhook({ source: "stripe", ...schemes.stripe })`. */
export { schemes } from "./schemes.ts";
export type { Effect, Tool } from "./tool.ts";
export type { Verification, Webhook } from "./webhook.ts";
/** The schema library that a tool's input is described with. */
export { z };

/** An installed folder: the default export of its `index.ts`. */
export const defineCapability = (capability: Capability): Capability => capability;

/** An address a sender posts to, and how it proves who it is. */
export const defineWebhook = (webhook: Webhook): Webhook => webhook;

/** "On this event, do that." `Data` is the event's data, as the sender documents it. */
export const defineTrigger = <Data = unknown>(
  trigger: Omit<Trigger, "run"> & { readonly run: Handler<Data> },
): Trigger => trigger as Trigger;

/** "At this time, do that." */
export const defineSchedule = (schedule: Schedule): Schedule => schedule;

/** A typed function that a model may call. */
export const defineTool = <Input>(tool: Tool<Input>): Tool<never> => tool as unknown as Tool<never>;

/** How messages come and go. */
export const defineChannel = (channel: Channel): Channel => channel;

/** What is yours and not a secret: the default export of `daimon.config.ts`. */
export const defineConfig = (config: Config): Config => config;
