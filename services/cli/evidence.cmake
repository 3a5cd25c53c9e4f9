# jukwaa evidence: heads, exports, proofs, and checking them.
jk_part(cli_operator SOURCES operator_store_pg.c USES base PkgConfig::libpq)
target_include_directories(cli_operator PUBLIC ${PROJECT_SOURCE_DIR})
jk_part(cli_evidence SOURCES cli_evidence.c evidence_prove.c evidence_verify.c evidence_receipt.c evidence_content.c
    evidence_walk.c evidence_store_pg.c
  USES cli_operator base crypt json wire feed_body evidence db PkgConfig::libpq)
target_include_directories(cli_evidence PUBLIC ${PROJECT_SOURCE_DIR})
