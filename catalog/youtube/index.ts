import {
  type Context,
  defineCapability,
  defineSchedule,
  defineTrigger,
  defineWebhook,
  literal,
  oneLine,
  schemes,
} from "daimon";
import { fetchStats, type Stats, subscribe } from "./api.ts";
import { readVideos, type Video, videoPath } from "./video.ts";

const HOUR = 3_600_000;
/** Hours after the publication at which the numbers are looked at. */
const LOOKS = [1, 24, 72];
/** The feed tells of each change of a title, too: a video older than this was published before we watched. */
const OLDEST = 48 * HOUR;

const notice = defineTrigger({
  name: "notice",
  description: "Begins one series for each new video, however often the feed tells of it",
  on: { source: "youtube", type: "video" },
  run: async ({ event, step, emit, now }) => {
    const videos = await step.run("read the feed", () => readVideos(event));
    const fresh = videos.filter((video) => now.getTime() - Date.parse(video.published) < OLDEST);
    // The key is the video's: of a second notice nothing comes.
    for (const video of fresh)
      await emit({ source: "youtube", type: "published", key: `published ${video.id}`, data: video });
    return { videos: videos.map(({ id }) => id), begun: fresh.map(({ id }) => id) };
  },
});

const follow = defineTrigger<Video>({
  name: "follow",
  description: "Writes a new video's numbers into the hub after 1, 24 and 72 hours",
  on: { source: "youtube", type: "published" },
  run: async (context) => {
    const { event, step, hub, send, now } = context;
    const video = event.data;
    const path = videoPath(video);
    await hub.create(path, renderVideo(video, event.id), `youtube: ${oneLine(video.title, 80)}`).catch(ignoreThere);
    await send({ text: `Published: ${oneLine(video.title)}\nIts numbers will stand in ${path}.` });
    // All from the same moment, so that none is late because the one before was.
    const age = now.getTime() - Date.parse(video.published);
    const times = LOOKS.map((hours) => step.sleep(`until ${hours} h`, `${Math.max(0, hours * HOUR - age)}ms`));
    for (const [place, hours] of LOOKS.entries()) {
      await times[place];
      const stats = await look(context, video, hours);
      if (!stats) return { path, gone: true };
      await hub.append(path, renderRow(hours, stats), `youtube: numbers of ${video.id} after ${hours} h`);
      await send({ text: `${oneLine(stats.title)} after ${hours} h: ${inWords(stats)}.` });
    }
    return { path };
  },
});

const look = ({ step, secret }: Context<Video>, { id }: Video, hours: number): Promise<Stats | null> =>
  step.run(`numbers after ${hours} h`, (signal) => fetchStats({ id, key: secret("YOUTUBE_API_KEY"), signal }));

/** A replayed event has its file already. */
function ignoreThere(error: { code?: string }): void {
  if (error.code !== "hub.exists") throw error;
}

const renderVideo = ({ title, url, published }: Video, eventId: string) =>
  [
    "---",
    `title: ${JSON.stringify(oneLine(title))}`,
    `created: ${published.slice(0, 10)}`,
    `source: ${eventId}`,
    "trust: untrusted",
    "tags: [video]",
    "---",
    "",
    `# ${literal(title)}`,
    "",
    `<${url}>, published ${published}.`,
    "",
    "| After | Views | Likes | Comments | Title then |",
    "| ----- | ----- | ----- | -------- | ---------- |",
    "",
  ].join("\n");

const figure = (value: number | null) => (value === null ? "hidden" : value.toLocaleString("en"));
const renderRow = (hours: number, { title, views, likes, comments }: Stats) =>
  `| ${hours} h | ${[views, likes, comments].map(figure).join(" | ")} | ${literal(title)} |\n`;
const inWords = ({ views, likes, comments }: Stats) =>
  `${figure(views)} views, ${figure(likes)} likes, ${figure(comments)} comments`;

const renew = defineSchedule({
  name: "renew",
  description: "Asks YouTube's hub to go on telling us: it forgets after five days",
  cron: "41 3 * * *",
  catchup: "one",
  run: async ({ step, secret, address }) => {
    const callback = address("youtube");
    const asked = await step.run("subscribe", (signal) =>
      subscribe({
        ...{ channel: secret("YOUTUBE_CHANNEL_ID"), callback, signal },
        ...{ secret: secret("YOUTUBE_WEBHOOK_SECRET"), verifyToken: secret("YOUTUBE_VERIFY_TOKEN") },
      }),
    );
    return { callback, ...asked };
  },
});

export default defineCapability({
  name: "youtube",
  description: "Follows each new video of a channel: its numbers after 1, 24 and 72 hours, in the hub.",
  webhooks: [defineWebhook({ source: "youtube", description: "New videos of a YouTube channel", ...schemes.youtube })],
  triggers: [notice, follow],
  schedules: [renew],
  secrets: [
    { name: "YOUTUBE_WEBHOOK_SECRET", description: "What YouTube's hub signs with", generate: true },
    {
      name: "YOUTUBE_VERIFY_TOKEN",
      description: "By which YouTube's hub shows that it was we who asked",
      generate: true,
    },
    { name: "YOUTUBE_CHANNEL_ID", description: "The channel (UC…)" },
    { name: "YOUTUBE_API_KEY", description: "A key for the YouTube Data API v3" },
  ],
  egress: ["www.googleapis.com", "pubsubhubbub.appspot.com"],
});
