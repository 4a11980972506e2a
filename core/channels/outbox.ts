import type { Clock } from "../base/clock.ts";
import { DaimonError, toFailure } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Channel, Delivery } from "../define/channel.ts";
import type { Failure } from "../define/run.ts";
import type { DueMessage } from "../store/messages.ts";

/** A channel that is installed. */
export interface RegisteredChannel {
  readonly channel: Channel;
  readonly secret: (name: string) => string;
}

/** What delivering came to. With `again` the message is pending until then. */
export interface DeliveryMark {
  readonly state: "delivered" | "failed" | "unknown";
  readonly externalId?: string;
  readonly error?: Failure;
  readonly again?: Date;
}

export interface OutboxOptions {
  readonly channels: () => ReadonlyMap<string, RegisteredChannel>;
  /** Takes due messages; those that were being sent when a process died come to `unknown`. */
  readonly claim: (most: number) => Promise<readonly DueMessage[]>;
  readonly mark: (id: string, mark: DeliveryMark) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Outbox {
  start(): void;
  /** Looks now: a message was kept just now. */
  wake(): void;
  /** Finishes what is being sent; takes nothing more. */
  stop(): Promise<void>;
}

const MOST = 20;
/** Milliseconds between two looks, the net below `wake`. */
const POLL = 2000;
/** Milliseconds a channel has for one message. Well below the five minutes after which a claim counts as lost. */
const PATIENCE = 60_000;
/** Milliseconds before the second, third, … try. */
const LADDER = [2_000, 10_000, 60_000, 10 * 60_000, 60 * 60_000, 6 * 60 * 60_000];

/** Delivers what was kept to be said, with retries; where the outcome cannot be known it says so and sends no second time. */
export function createOutbox(options: OutboxOptions): Outbox {
  const { clock, log } = options;
  let running = false;
  let again = false;
  let cancelPoll = () => {};
  let round: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    do {
      again = false;
      const due = await options.claim(MOST);
      await Promise.all(due.map((message) => deliver(message, options)));
      if (due.length === MOST) again = true;
    } while (again && running);
  };
  const wake = () => {
    again = true;
    if (!running || round) return;
    cancelPoll();
    round = look()
      .catch((error) => log.warn("The outbox could not be read.", { error: toFailure(error).message }))
      .finally(() => {
        round = undefined;
        if (running) cancelPoll = clock.after(POLL, wake);
      });
  };

  return {
    start() {
      running = true;
      wake();
    },
    wake,
    async stop() {
      running = false;
      cancelPoll();
      await round;
    },
  };
}

async function deliver(message: DueMessage, options: OutboxOptions): Promise<void> {
  const registered = options.channels().get(message.channel);
  const mark = registered
    ? await send(message, registered, options.clock)
    : failed(message, options.clock, channelMissing(message.channel));
  if (mark.state === "failed" && !mark.again) {
    options.log.error("A message was not delivered.", {
      message: message.id,
      channel: message.channel,
      error: mark.error,
    });
  }
  try {
    await options.mark(message.id, mark);
  } catch (error) {
    // The claim runs out, and the message comes to `unknown`: it was sent, and that could not be kept.
    options.log.error("A delivery could not be kept.", { message: message.id, error: toFailure(error).message });
  }
}

async function send(message: DueMessage, registered: RegisteredChannel, clock: Clock): Promise<DeliveryMark> {
  const controller = new AbortController();
  const { id, conversation, text } = message;
  const late = Promise.withResolvers<Delivery>();
  const stop = clock.after(PATIENCE, () => {
    controller.abort();
    late.resolve({ state: "unknown" });
  });
  try {
    const sent = registered.channel.send(
      { id, conversation, text },
      { secret: registered.secret, signal: controller.signal },
    );
    return await Promise.race([sent, late.promise]);
  } catch (error) {
    return controller.signal.aborted ? { state: "unknown" } : failed(message, clock, error);
  } finally {
    stop();
  }
}

function failed(message: DueMessage, clock: Clock, error: unknown): DeliveryMark {
  const failure = toFailure(error);
  const delay = LADDER[message.attempts - 1];
  const permanent = /\.(missing|wrong|invalid|undeclared)$/.test(failure.code);
  if (delay === undefined || permanent) return { state: "failed", error: failure };
  const wait = Math.max(delay, (failure.retryAfter ?? 0) * 1000);
  return { state: "failed", error: failure, again: new Date(clock.now().getTime() + wait) };
}

const channelMissing = (name: string) =>
  new DaimonError(
    "channel.missing",
    `There is no channel "${name}".`,
    "Install the capability that brings it: `daimon add`.",
  );
