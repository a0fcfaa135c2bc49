#include "shared_data.hpp"

#include <cstdlib>

namespace popalign::evaluation {

std::filesystem::path shared_data() {
    const char* root = std::getenv("POPALIGN_SOURCE_DIR");
    return std::filesystem::path(root != nullptr ? root : ".") / "../shared/data";
}

}  // namespace popalign::evaluation
