# CSV files to reports by a mapping file (deploy/maps); used by `jukwaa publish`.
jk_part(cli_csv SOURCES csv_map.c csv_map_parse.c csv_reader.c csv_rows.c csv_target.c csv_time.c USES base proto wire)
target_include_directories(cli_csv PUBLIC ${PROJECT_SOURCE_DIR})
