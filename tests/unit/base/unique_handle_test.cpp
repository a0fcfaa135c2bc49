#include <popalign/base/descriptor.hpp>
#include <popalign/base/unique_handle.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <vector>

namespace popalign {
namespace {

std::vector<int>& released() {
    static std::vector<int> handles;
    return handles;
}

struct Traits {
    using Handle = int;
    static Handle null() noexcept { return -1; }
    static void release(Handle handle) noexcept { released().push_back(handle); }
};
using Handle = UniqueHandle<Traits>;

TEST(UniqueHandle, ReleasesExactlyOnce) {
    released().clear();
    {
        Handle first(1), second(2);
        Handle moved(std::move(first));
        second = std::move(moved);  // releases 2
        EXPECT_EQ(released(), (std::vector<int>{2}));
        EXPECT_EQ(second.get(), 1);
        EXPECT_FALSE(moved);
    }
    EXPECT_EQ(released(), (std::vector<int>{2, 1}));
    { EXPECT_EQ(Handle(3).take(), 3); }
    EXPECT_EQ(released().size(), 2U);
}

TEST(Descriptor, ClosesItsFile) {
    int number = -1;
    {
        const Descriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        ASSERT_TRUE(file);
        number = file.get();
        EXPECT_NE(::fcntl(number, F_GETFD), -1);
    }
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
    EXPECT_FALSE(Descriptor(::open("/dev/null/absent", O_RDONLY)));
}

}  // namespace
}  // namespace popalign
