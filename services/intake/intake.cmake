# Intake itself. The rules part may see nothing but base.
jk_part(intake_rules SOURCES intake_rules.c intake_ledger.c intake_assume.c USES base)
target_include_directories(intake_rules PUBLIC ${PROJECT_SOURCE_DIR})
jk_part(intake_wire
  SOURCES intake_wire.c intake_wire_seal.c intake_wire_receipt.c intake_wire_pb.c intake_wire_json.c intake_wire_incident.c
  USES intake_rules intake_warn intake_cap evidence_head json feed wire crypt proto base)
jk_part(intake_store SOURCES intake_store_pg.c intake_store_load_pg.c intake_store_commit_pg.c USES intake_rules db crypt base)
jk_part(intake_retain SOURCES intake_retain_pg.c USES retain)
target_include_directories(intake_retain PUBLIC ${PROJECT_SOURCE_DIR})
jk_service(intake
  SOURCES main.c intake_service.c intake_examine.c intake_audience.c intake_batch.c intake_queue.c intake_locate.c intake_meter.c
  USES intake_wire intake_store intake_rules intake_retain intake_place session registry daemon conf bus crypt proto base)
