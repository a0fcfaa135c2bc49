# popalign_embed(<output.cpp> <namespace> <function> FILES ...)
#
# Generates `std::span<const EmbeddedText> popalign::<namespace>::<function>()` with the files' names (without
# extension) and texts, so that the program carries its templates wherever it runs.
function(popalign_embed output namespace function)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  set(entries "")
  foreach(file IN LISTS ARG_FILES)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(READ "${file}" text)
    get_filename_component(name "${file}" NAME_WE)
    string(APPEND entries "    {\"${name}\", R\"popalign(${text})popalign\"},\n")
  endforeach()
  file(
    CONFIGURE
    OUTPUT "${output}"
    CONTENT
      "#include <popalign/base/embedded_text.hpp>\n\nnamespace popalign::@namespace@ {\n\nstd::span<const EmbeddedText> @function@();\nstd::span<const EmbeddedText> @function@() {\n    static constexpr EmbeddedText texts[] = {\n@entries@    };\n    return texts;\n}\n\n}  // namespace popalign::@namespace@\n"
    @ONLY)
endfunction()
