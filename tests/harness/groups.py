"""Groups by feed.proto's description alone: taking an incident apart as intake seals it, and putting together what a copy shows."""
import hashlib
import secrets

from jukwaa_harness import commitment, protos

NAMES = ("identity", "classification", "times", "place", "narrative", "resources", "references", "handling", "reporter", "persons",
         "registration", "position", "words", "work")
REPORTER, PERSONS, REGISTRATION, POSITION, WORDS, WORK = 9, 10, 11, 12, 13, 14
# What 11 and 12 have of another group's message, and WORDS of several.
ELSEWHERE = {
    "identity": {REGISTRATION: ("sender", "external_id", "revision", "ob_number"), WORDS: ("source", "sender_name")},
    "classification": {WORDS: ("event", "event_codes", "parameters")},
    "place": {POSITION: ("point", "accuracy_m", "polygons", "circles"), WORDS: ("codes", "text", "geocodes")},
    "references": {WORDS: ("incidents",)},
    "handling": {WORDS: ("restriction", "addresses", "codes", "note")},
}


def _only(message, fields):
    """A copy with these fields alone."""
    kept = type(message)()
    kept.CopyFrom(message)
    for field in message.DESCRIPTOR.fields:
        if field.name not in fields:
            kept.ClearField(field.name)
    return kept


def split(incident):
    """{tag: content} of the thirteen groups."""
    contents, words = {}, type(incident)()
    for tag, name in enumerate(NAMES[:PERSONS], 1):
        message, moved = getattr(incident, name), ELSEWHERE.get(name, {})
        for group, fields in moved.items():
            part = _only(message, fields)
            if group != WORDS:
                contents[group] = part.SerializeToString()
            elif part.ListFields():
                getattr(words, name).CopyFrom(part)
        gone = {field for fields in moved.values() for field in fields}
        contents[tag] = _only(message, {f.name for f in message.DESCRIPTOR.fields} - gone).SerializeToString()
    contents[WORDS] = words.SerializeToString()
    return contents


def merge(groups):
    """The incident as far as these groups of a copy show it; WORK is no part of it."""
    pb = protos()
    incident = pb.Incident()
    for group in groups:
        if group.tag == WORDS:
            incident.MergeFromString(group.content)
        elif group.content and group.tag != WORK:
            name = {REGISTRATION: "identity", POSITION: "place"}.get(group.tag) or NAMES[group.tag - 1]
            getattr(incident, name).MergeFromString(group.content)
    return incident


def seal(incident, old=False):
    """(packed EventBody, commitment) as intake stores it; old: as version 0.1.0 did, in ten groups."""
    pb = protos()
    body = pb.EventBody()
    contents = {tag: getattr(incident, name).SerializeToString() for tag, name in enumerate(NAMES[:PERSONS], 1)} if old \
        else split(incident)
    for tag in sorted(contents):
        content, salt = contents[tag], secrets.token_bytes(16)
        if tag in (REPORTER, PERSONS):
            body.groups.add(tag=tag, digest=hashlib.sha256(salt + content).digest())
            body.stored_apart |= (not old and len(content) > 0) << tag
        else:
            body.groups.add(tag=tag, salt=salt, content=content)
    return body.SerializeToString(), commitment(body.groups)


def add_work(stored, work):
    """(packed EventBody, commitment): the stored body with this Work as its fourteenth group, as jk_body_add_work makes it."""
    body = protos().EventBody.FromString(stored)
    body.stored_apart = 0
    body.ClearField("erased")
    del body.groups[WORK - 1:]
    body.groups.add(tag=WORK, salt=secrets.token_bytes(16), content=work.SerializeToString())
    return body.SerializeToString(), commitment(body.groups)
