jk_test(cli/csv_map USES cli_csv)
jk_test(cli/csv_dataset USES cli_csv)
target_compile_definitions(test_cli_csv_dataset PRIVATE TEST_DATA_DEFAULT="${PROJECT_SOURCE_DIR}/../shared/data"
  TEST_MAPS="${PROJECT_SOURCE_DIR}/deploy/maps")
set_tests_properties(unit/cli/csv_dataset PROPERTIES SKIP_RETURN_CODE 77)
