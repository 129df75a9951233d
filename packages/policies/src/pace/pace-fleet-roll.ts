/**
 * @module The roll of a fleet: who is at Redis, and whether the others can be. A Redis that was away was away for all, and they
 * come back one by one, as each tries again: the pace of Redis for the first of them, beside the shares of those who do not know
 * yet, is more than the quota. So the first one back opens a roll. As long as it is open, whoever comes back goes on at its
 * share, and whoever comes for the first time waits. It is closed when as many are there as have parted, or when all who have
 * calls must have tried.
 *
 * One that was cut off alone comes back to a fleet that had the whole pace meanwhile. What it has sent beside that is taken out
 * of the pace: as many turns are not given to anybody.
 *
 * All of it happens in one script, by the clock of Redis.
 */
import { MOST_OUT } from './pace-tickets.js';

/** How a member comes: for the first time, back from its share, or it is there already. */
export type RollKind = 'new' | 'back' | 'here';

/** What a member that comes back has done without Redis. */
export interface Absence {
  /** Among how many it divided the pace. */
  readonly among: number;
  /** Turns of its share that it has used, one after the other, up to now. */
  readonly sent: number;
  /** When the first of them could have been, in monotonic ms. */
  readonly since: number;
  /** Time between two of them, in ms. */
  readonly shareMs: number;
}

/**
 * What a roll call tells: ms until the roll is closed (0 if it is), members, 1 if it was this call that closed it, and the
 * time between two turns of the fleet, in ms.
 */
export type RollAnswer = [waitMs: number, members: number, closed: number, minTime: string | null];

/** A member that has not been heard of for so long is gone, in ms: two signs of life and a bit. */
const GONE_MS = 12_000;
/** Keys of a fleet that nobody belongs to any more are gone after this time, in ms. */
const KEPT_MS = 3_600_000;
/** Turns for each member that may have been given ahead; more than that, and it is a clock that was set back. */
const AHEAD = 2 * MOST_OUT;

/**
 * Keys: bottleneck's settings, the roll, the members, and others that are to be kept. Arguments: who, how it comes, among how
 * many, the longest time that the roll is open, turns used, since how many ms, ms between two of them.
 */
export const rollScript: string = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local settings, rolls, members = KEYS[1], KEYS[2], KEYS[3]
local who, how = ARGV[1], ARGV[2]
local among, longest, sent, since, share = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

redis.call('ZREMRANGEBYSCORE', members, '-inf', now - ${GONE_MS})
local others = redis.call('ZCARD', members) - (redis.call('ZSCORE', members, who) and 1 or 0)
redis.call('ZADD', members, now, who)

local pace = redis.call('HMGET', settings, 'nextRequest', 'minTime')
local due, step = tonumber(pace[1]), tonumber(pace[2])
local roll = redis.call('HMGET', rolls, 'began', 'ends', 'of')
local began, ends, of = tonumber(roll[1]) or 0, tonumber(roll[2]) or 0, tonumber(roll[3]) or 0
-- The clock was set back.
if ends > now + longest then ends = 0 end

if due and step then
  local given = due
  if due > now + ${AHEAD} * (others + 1) * step + longest then due = now end
  -- Nobody else was there: nobody had the pace meanwhile.
  if how == 'back' and others > 0 and share > 0 then
    local beside = math.min(due, now) - math.max(now - since, ends)
    local owed = math.min(sent, math.ceil(math.min(beside, longest) / share))
    if owed > 0 then due = math.max(due, now) + owed * step end
  end
  if due ~= given then redis.call('HSET', settings, 'nextRequest', due) end
end

if how == 'back' and now >= ends then
  began, ends, of = math.floor(now), now + longest, among
elseif how == 'back' then
  of = math.max(of, among)
elseif how == 'new' and now < ends then
  of = of + 1
end
local wait, closed = 0, 0
if now < ends then
  if redis.call('ZCOUNT', members, began, '+inf') < of then
    wait = math.ceil(ends - now)
  else
    ends, closed = now, 1
  end
end
redis.call('HMSET', rolls, 'began', began, 'ends', ends, 'of', of)
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ${KEPT_MS}) end
return { wait, math.max(redis.call('ZCARD', members), wait > 0 and of or 0), closed, pace[2] }
`;
