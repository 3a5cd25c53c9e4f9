# jukwaa admin, jukwaa key: the operator's side.
jk_part(cli_admin SOURCES cli_admin.c cli_key.c admin_migrate.c admin_erase.c admin_duty.c admin_duty_show.c admin_duty_store_pg.c admin_secret.c admin_store_pg.c admin_migrate_pg.c
    admin_pact.c admin_pact_act.c admin_pact_show.c cli_agreement.c pact_book.c pact_file.c pact_text.c pact_store_pg.c
  USES base crypt json agreement registry db PkgConfig::libpq)
target_compile_definitions(cli_admin PRIVATE JUKWAA_SQL_FOLDER="${CMAKE_INSTALL_FULL_DATADIR}/jukwaa/sql")
target_include_directories(cli_admin PUBLIC ${PROJECT_SOURCE_DIR})
