# County boundaries: the only part that links GEOS.
jk_part(intake_place SOURCES intake_place_geos.c intake_place_geos_file.c USES base PkgConfig::jansson ${GEOS_C} m)
target_include_directories(intake_place PUBLIC ${PROJECT_SOURCE_DIR})
