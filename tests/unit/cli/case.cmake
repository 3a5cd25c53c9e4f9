jk_test(cli/case_rows SOURCES ${CMAKE_SOURCE_DIR}/services/cli/case_rows.c USES json proto base)
target_include_directories(test_cli_case_rows PRIVATE ${CMAKE_SOURCE_DIR})
