#include "support/temporary_directory.hpp"

#include "support/world.hpp"

#include <popalign/comm/objects.hpp>

#include <cstdlib>
#include <string>

namespace popalign::test {

TemporaryDirectory::TemporaryDirectory() {
    std::string name;
    if (world().is_root()) {
        name = (std::filesystem::temp_directory_path() / "popalign-test-XXXXXX").native();
        if (::mkdtemp(name.data()) == nullptr)
            throw_system_error("create it", name);
    }
    path_ = comm::broadcast_object(world(), name);
}

TemporaryDirectory::~TemporaryDirectory() {
    comm::barrier(world());
    std::error_code ignored;
    if (world().is_root())
        std::filesystem::remove_all(path_, ignored);
}

}  // namespace popalign::test
