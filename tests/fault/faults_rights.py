"""Faults of positions, keys and agreements: who may go on from where, and who may have anything at all."""
import time

from jukwaa_harness import wait_until
from suite import fault

IN_FORCE_S = 1.0   # the design: a change of the registry is in force within so much
SLACK_S = 1.0      # for what was on its way, on a shared machine


def in_force(world, names=("intake", "dispatch")):
    """Waits until services have the registry as it is now; when they had it, on this machine's monotonic clock."""
    version = world.sql("SELECT version FROM registry.version")[0][0]
    if "dispatch" in names:
        wait_until(lambda: world.stack.services["dispatch"].metric("jukwaa_dispatch_registry_version") >= version, 5, "in force")
    return time.monotonic()


# ---- F15

@fault("F15", "positions forged, truncated, of the future, of another past")
def bad_positions(run):
    """A desk resumes, under load, with positions that are cut short, altered, another desk's, beyond the head, and of a history that
    was replaced; each is refused in clear words, none gives an event, and the right position goes on."""
    with run.world() as world:
        load = world.load(run.count(3000, 1200))
        world.moment(load, 0.2, 0.4)
        desk, other = world.desks[0], world.desks[1]
        wait_until(lambda: desk.positions.get("001") and other.seen, 20, "positions")
        good = {s: p.seal for s, p in desk.positions.items()}
        # A position of the other desk: it resumes under a cursor, and is told positions all the same.
        foreign = {s: p.seal for s, p in other.positions.items()}
        flipped = {s: seal[:8] + bytes([seal[8] ^ 1]) + seal[9:] for s, seal in good.items()}
        counted = {s: bytes([seal[0] ^ 1]) + seal[1:] for s, seal in good.items()}
        for what, seals, codes in (("truncated", {s: seal[:-1] for s, seal in good.items()}, ("NOT_WELL_FORMED",)),
                                   ("altered chain", flipped, ("NOT_PERMITTED",)), ("altered number", counted, ("NOT_PERMITTED",)),
                                   ("another desk's", {**good, **foreign}, ("NOT_PERMITTED",)),
                                   ("for no stream", {}, ("NOT_PERMITTED", "NOT_WELL_FORMED", "RULE_VIOLATION"))):
            code, delivered = ask(world, desk, seals)
            run.expect(code in codes, f"{what}: answered {code}")
            run.expect(not delivered, f"{what}: {delivered} events were given")
            world.broke(load.outstanding() or world.undelivered())
        code, _ = ask(world, desk, good)
        run.expect(code is None, f"the right position is answered {code}")
        load.wait()
        run.judge(world)
        replaced_history(run, world, desk)


def ask(world, desk, seals):
    """Subscribes as the desk with these positions, in a session of its own: the code it is refused with, and deliveries."""
    peer = world.stack.peer("dispatch", desk.key)
    try:
        if peer.hello(timeout=5) is None:
            raise AssertionError("no session")
        subscribe = peer.pb.Subscribe(request=1, all=True, window=8, start_at=peer.pb.START_AT_TOKEN)
        subscribe.positions.extend(peer.pb.SealedPosition(stream=s, seal=seal) for s, seal in seals.items())
        peer.send("SUBSCRIBE", subscribe)
        delivered = 0
        end = time.monotonic() + 10
        while time.monotonic() < end:
            got = peer.receive(1.0)
            if got and got[0] in ("REFUSED", "BYE"):
                return desk.codes[got[1].code], delivered
            if got and got[0] == "SUBSCRIBED":
                return None, delivered
            delivered += bool(got and got[0] == "DELIVER")
        return "SILENCE", delivered
    finally:
        peer.close()


def replaced_history(run, world, desk):
    """The database is as if restored from an older backup (the last events of a stream are gone): what the desk holds is a position
    of the future. Then others are appended in their place: a position of another past. The answer to both is RESYNC."""
    for one in world.desks:
        one.close()
    held = {s: p.seal for s, p in desk.positions.items()}
    world.stack.services["dispatch"].stop()
    world.sql("DELETE FROM feed.event WHERE stream = '001' AND seq > (SELECT last_seq - 3 FROM feed.head WHERE stream = '001')")
    world.sql("""UPDATE feed.head h SET last_seq = e.seq, last_chain = e.chain FROM (SELECT seq, chain FROM feed.event
                  WHERE stream = '001' ORDER BY seq DESC LIMIT 1) e WHERE h.stream = '001'""")
    world.stack.services["dispatch"].start()
    code, _ = ask(world, desk, held)
    run.expect(code == "RESYNC", f"a position of the future: answered {code}")
    later = [r for r in world.reports(80, "later-", updates=0, multi=0) if r.counties == ("001",)] or world.reports(40, "l2-", counties=2)
    publisher = world.publisher("KRCS", later)
    publisher.start()
    wait_until(lambda: len(publisher.final) == len(later), 20, "others in their place")
    code, _ = ask(world, desk, held)
    run.expect(code == "RESYNC", f"a position of another past: answered {code}")


# ---- F16

@fault("F16", "keys of a publisher and a desk revoked mid-stream", quick=True)
def revoke_keys(run):
    """A publisher's key is revoked under load: nothing of it is accepted after the change is in force, the other publisher goes on;
    reinstated it finishes. Then the same with a desk: nothing is delivered to it, and after that it has everything."""
    with run.world() as world:
        load = world.load(run.count(4000, 2000), rate=run.count(400, 300))
        world.moment(load, 0.2, 0.3)
        victim = world.agencies["KPS"]
        revoke(world, victim, wait_until(load.outstanding, 5, "a report under way"))
        in_force(world)
        others = next(p for p in load.publishers if p.key != victim)
        before = len(others.final)
        wait_until(lambda: len(others.final) > min(before + 200, len(others.reports) - 1), 30, "the other publisher goes on")
        late = world.sql("""SELECT count(*) FROM intake.report r JOIN registry.key k USING (key_id)
                             WHERE k.revoked_at IS NOT NULL AND r.received_at > k.revoked_at + make_interval(secs => %s)""",
                         IN_FORCE_S + SLACK_S)[0][0]
        run.findings.foreign += [f"{late} reports taken under a revoked key"] if late else []
        run.expect(len(load.publishers[0].final) < len(load.publishers[0].reports), "the revoked publisher had not finished before")
        world.stack.admin("key", "reinstate", f"{victim}.pub")

        desk = world.desks[0]
        revoke(world, desk.key, wait_until(lambda: load.outstanding() or world.undelivered(), 10, "the desk is behind"))
        since = in_force(world) + SLACK_S
        load.wait()
        until = time.monotonic()
        world.stack.admin("key", "reinstate", f"{desk.key}.pub")
        given = sum(since < d.at < until for d in desk.deliveries)
        run.findings.foreign += [f"{given} events given to a desk whose key is revoked"] if given else []
        run.expect("REVOKED" in [code for code, _ in desk.endings], f"the desk was told why: {desk.endings}")
        run.judge(world)


def revoke(world, key, outstanding):
    world.stack.admin("key", "revoke", f"{key}.pub")
    world.broke(outstanding)


# ---- F25

@fault("F25", "agreement narrowed between commit and delivery")
def narrow_policy(run):
    """Dispatch is killed; reports are stored meanwhile; the desk's rules are narrowed to one county; dispatch starts. What was stored
    while the rules were wide goes by the narrow ones, and the rows of dispatch.disclosure name the policy that was in force."""
    with run.world() as world:
        world.stack.services["dispatch"].kill()
        desk = world.desks[0]
        early = len(desk.deliveries)
        load = world.load(run.count(2000, 500))
        world.moment(load)
        outstanding = world.undelivered()
        world.sql("UPDATE registry.allow SET revoked_at = now() WHERE desk_id = (SELECT desk_id FROM registry.desk WHERE code = %s)",
                  desk.desk_name)
        world.stack.admin("allow", "add", "--desk", desk.desk_name, "--county", "002")
        world.broke(outstanding)
        version = world.sql("SELECT version FROM registry.version")[0][0]
        run.expect(early == 0, "nothing was delivered before")
        desk.counties = ("002",)  # what its rules say from now on: the checker judges every copy by that
        world.restart("dispatch")
        load.wait()
        run.judge(world)
        rows = world.sql("""SELECT d.policy_version, d.stream, count(*) FROM dispatch.disclosure d
                             WHERE d.holder = 'D' || (SELECT desk_id FROM registry.desk WHERE code = %s) GROUP BY 1, 2""", desk.desk_name)
        run.expect(rows and all(policy >= version for policy, _, _ in rows), f"disclosures under policy {version} or later: {rows}")
        given = {s for s, _ in desk.seen}
        run.expect(given == {"002"}, f"streams given: {given}")
        revoke_last_rule(run, world, desk)


def revoke_last_rule(run, world, desk):
    """The last rule is revoked while events flow: once that is in force nothing is given any more."""
    load = world.load(run.count(3000, 900), rate=300)
    world.moment(load, 0.2, 0.4)
    world.sql("UPDATE registry.allow SET revoked_at = now() WHERE desk_id = (SELECT desk_id FROM registry.desk WHERE code = %s)",
              desk.desk_name)
    world.broke(wait_until(load.outstanding, 5, "a report under way"))
    since = in_force(world, ("dispatch",)) + SLACK_S
    load.wait()
    wait_until(lambda: world.behind("cases") == 0, 30, "the feed was read")
    given = [d for d in desk.deliveries if d.at > since]
    run.findings.foreign += [f"{len(given)} events given to {desk.desk_name} after its last rule was revoked"] if given else []
