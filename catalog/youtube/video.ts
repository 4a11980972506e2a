import { type Context, readPayload, z } from "daimon";

/** A video of the channel, as the feed tells it. Its title is a stranger's words, even when it is one's own. */
export interface Video {
  readonly id: string;
  readonly title: string;
  readonly url: string;
  /** ISO 8601. */
  readonly published: string;
}

const entry = z.object({
  "yt:videoId": z.string().regex(/^[\w-]{5,64}$/),
  title: z.string(),
  published: z.iso.datetime({ offset: true }),
});
const notification = z.object({ feed: z.object({ entry: z.union([entry, z.array(entry)]) }) });

/** https://developers.google.com/youtube/v3/guides/push_notifications */
export function readVideos(event: Context["event"]): Video[] {
  const { feed } = readPayload(notification, event);
  return [feed.entry].flat().map(({ "yt:videoId": id, title, published }) => {
    return { id, title, url: `https://www.youtube.com/watch?v=${id}`, published };
  });
}

/** `areas/videos/2026-11-24-how-webhooks-work-dQw4w9WgXcQ.md` */
export function videoPath({ id, title, published }: Video): string {
  const slug = title
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 40)
    .replace(/^-|-$/g, "");
  return `areas/videos/${[published.slice(0, 10), slug, id].filter(Boolean).join("-")}.md`;
}
