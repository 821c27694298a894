# Sets ATTNSIM_PYTHON to an interpreter that has matplotlib: the project's own .venv first, then Debian's, then whatever CMake finds (a
# python3 of pyenv or conda on the PATH often can't see Debian's packages). Empty if there is none.
find_package(Python3 QUIET COMPONENTS Interpreter)
set(ATTNSIM_PYTHON "")
foreach(candidate ${CMAKE_SOURCE_DIR}/.venv/bin/python /usr/bin/python3 ${Python3_EXECUTABLE})
  if(EXISTS ${candidate})
    execute_process(COMMAND ${candidate} -c "import matplotlib, sqlite3" RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
      set(ATTNSIM_PYTHON ${candidate})
      break()
    endif()
  endif()
endforeach()
message(STATUS "Python for charts: ${ATTNSIM_PYTHON}")
