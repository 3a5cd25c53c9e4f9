# cmake -D IN=FILE -D OUT=FILE.c -D NAME=symbol -P embed.cmake: the file as a C array `symbol` with `symbol_size`.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include <stddef.h>\nextern const unsigned char ${NAME}[];\nextern const size_t ${NAME}_size;\n"
  "const unsigned char ${NAME}[] = {${bytes}};\nconst size_t ${NAME}_size = sizeof(${NAME});\n")
