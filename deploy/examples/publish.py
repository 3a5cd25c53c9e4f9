#!/usr/bin/python3
"""Publishes one incident and prints its receipt. Settings as for the command line: JUKWAA_INTAKE, JUKWAA_KEY,
JUKWAA_SERVER_KEY. An agency's system keeps its report until the receipt says STORED or DUPLICATE; repeating it is harmless."""
import os
import random
import sys
import time
import uuid

from jukwaa_wire import Peer, pb

incident = pb.Incident(
    identity=pb.Identity(external_id=f"example-{uuid.uuid4()}", status=pb.STATUS_ACTUAL, msg_type=pb.MSG_TYPE_ALERT),
    classification=pb.Classification(categories=[pb.CATEGORY_FIRE], event="Market fire", urgency=pb.URGENCY_IMMEDIATE,
                                     severity=pb.SEVERITY_SEVERE, certainty=pb.CERTAINTY_OBSERVED),
    times=pb.Times(sent_us=time.time_ns() // 1000),
    place=pb.Place(codes=[pb.PlaceCode(scheme=pb.PLACE_SCHEME_COUNTY, code="047")], text=["Gikomba market"]),
    narrative=pb.Narrative(texts=[pb.Text(language="sw", headline="Moto sokoni Gikomba")]),
    handling=pb.Handling(tlp=pb.TLP_GREEN, scope=pb.SCOPE_PUBLIC),
)

peer = Peer(os.environ["JUKWAA_INTAKE"], os.environ["JUKWAA_KEY"], os.environ["JUKWAA_SERVER_KEY"])
peer.hello("publish.py")
publish = pb.Publish(request=1, format=pb.FORMAT_PROTOBUF, payload=incident.SerializeToString())
busy = 0.05
while True:
    peer.send("PUBLISH", publish)
    kind, message = peer.receive(timeout=2)
    if kind == "BAD_SESSION":
        peer.hello("publish.py")
    elif kind == "RECEIPT" and message.verdict == pb.VERDICT_BUSY:
        time.sleep(busy * random.uniform(0.5, 1))
        busy = min(busy * 2, 2)
    elif kind in ("RECEIPT", "REFUSED", "BYE"):
        break
    # Silence: the same message again.

if kind != "RECEIPT":
    sys.exit(f"{kind}: {pb.Code.Name(message.code)} {message.reason}")
print(pb.Verdict.Name(message.verdict)[len("VERDICT_"):], message.external_id, uuid.UUID(bytes=message.incident_id or bytes(16)),
      " ".join(f"{p.stream}#{p.seq}" for p in message.positions), message.reason)
sys.exit(message.verdict not in (pb.VERDICT_STORED, pb.VERDICT_DUPLICATE))
