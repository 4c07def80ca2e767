# The slow headers, compiled once for all rooms. A precompiled header serves only those who compile
# with the same macros, so those of single libraries are set here for everybody.
add_library(penstock_precompiled STATIC ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
target_link_libraries(penstock_precompiled PUBLIC absl::flat_hash_map absl::flat_hash_set absl::status
  absl::statusor absl::strings absl::str_format absl::synchronization absl::time absl::span
  protobuf::libprotobuf spdlog::spdlog Threads::Threads)
target_compile_definitions(penstock_precompiled PUBLIC _FILE_OFFSET_BITS=64
  PENSTOCK_VERSION="${PROJECT_VERSION}")
target_precompile_headers(penstock_precompiled PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

# A room is one static library made of every .cc below its folders, main.cc apart.
function(penstock_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES_DIR;LIBS;EXCLUDE" ${ARGN})
  list(TRANSFORM ARG_SOURCES_DIR PREPEND ${CMAKE_SOURCE_DIR}/)
  list(TRANSFORM ARG_SOURCES_DIR APPEND /*.cc)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${ARG_SOURCES_DIR})
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${ARG_EXCLUDE}")
  endif()
  if(NOT sources)
    set(sources ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
  endif()
  add_library(penstock_${name} STATIC ${sources})
  target_include_directories(penstock_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(penstock_${name} PUBLIC ${ARG_LIBS} CLI11::CLI11)
  target_link_libraries(penstock_${name} PUBLIC penstock_precompiled)
  target_precompile_headers(penstock_${name} REUSE_FROM penstock_precompiled)
endfunction()

function(penstock_program name main library)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${main})
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE ${library})
    if(PENSTOCK_SANITIZE MATCHES "thread")
      target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/testing/tsan_absl_mutex.cc)
    endif()
    install(TARGETS ${name} RUNTIME DESTINATION bin)
  endif()
endfunction()
