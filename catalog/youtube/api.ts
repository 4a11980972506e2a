import { callApi, z } from "daimon";

const API = "https://www.googleapis.com/youtube/v3";
const HUB = "https://pubsubhubbub.appspot.com";
/** The hub grants this much at most: five days. */
const LEASE_SECONDS = 432_000;

/** A video's numbers; null where the owner of the channel hides one. */
export interface Stats {
  readonly title: string;
  readonly views: number | null;
  readonly likes: number | null;
  readonly comments: number | null;
}

const count = z
  .string()
  .regex(/^\d+$/)
  .transform(Number)
  .nullish()
  .transform((value) => value ?? null);
const list = z.object({
  items: z.array(
    z.object({
      snippet: z.object({ title: z.string() }),
      statistics: z.object({ viewCount: count, likeCount: count, commentCount: count }),
    }),
  ),
});

/** A video's numbers now; null when it is gone. One unit of the day's 10,000. https://developers.google.com/youtube/v3/docs/videos/list */
export async function fetchStats(wanted: { id: string; key: string; signal: AbortSignal }): Promise<Stats | null> {
  const answer = await callApi({
    api: "youtube",
    url: `${API}/videos?${new URLSearchParams({ part: "snippet,statistics", id: wanted.id })}`,
    headers: { "x-goog-api-key": wanted.key },
    signal: wanted.signal,
    next: "YOUTUBE_API_KEY must be a key for the YouTube Data API v3, with units left for the day.",
  });
  const [video] = list.parse(answer).items;
  if (!video) return null;
  const { viewCount: views, likeCount: likes, commentCount: comments } = video.statistics;
  return { title: video.snippet.title, views, likes, comments };
}

/** Asks the hub to tell us of the channel's videos. It tries the address out before it does. */
export async function subscribe(wanted: {
  channel: string;
  callback: string;
  secret: string;
  verifyToken: string;
  signal: AbortSignal;
}): Promise<{ leaseSeconds: number }> {
  const form = {
    "hub.mode": "subscribe",
    "hub.callback": wanted.callback,
    "hub.topic": `https://www.youtube.com/xml/feeds/videos.xml?channel_id=${encodeURIComponent(wanted.channel)}`,
    "hub.verify": "async",
    "hub.verify_token": wanted.verifyToken,
    "hub.secret": wanted.secret,
    "hub.lease_seconds": String(LEASE_SECONDS),
  };
  await callApi({
    ...{ api: "youtube-hub", url: `${HUB}/subscribe`, body: new URLSearchParams(form) },
    signal: wanted.signal,
    next: "Is YOUTUBE_CHANNEL_ID right (UC…), and does publicUrl lead here?",
  });
  return { leaseSeconds: LEASE_SECONDS };
}
