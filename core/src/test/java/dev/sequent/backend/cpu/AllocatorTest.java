package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.BackendException;
import dev.sequent.type.OutOfDeviceMemoryException;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the pool of native memory promises and the contract of backends cannot see. */
class AllocatorTest {
    private static final long LIMIT = 1 << 20;
    private final Allocator allocator = new Allocator(LIMIT, LIMIT / 2, false);

    @AfterEach
    void close() {
        allocator.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 63, 64, 65, 511, 513, 4096, 100_000})
    void blocksAreAlignedAndLargeEnough(long bytes) {
        Allocator.Block block = allocator.allocate("test", bytes);
        assertThat(block.segment().address() % NativeMemory.ALIGNMENT).isZero();
        assertThat(block.segment().byteSize()).isGreaterThanOrEqualTo(bytes);
        allocator.free(block);
    }

    @Test
    void classesWasteAtMostAnEighth() {
        for (long bytes = 513; bytes < 1 << 24; bytes = bytes * 9 / 8 + 1) {
            assertThat(Allocator.capacity(bytes)).isBetween(bytes, bytes + bytes / 8 + NativeMemory.ALIGNMENT);
        }
    }

    @Test
    void freedMemoryIsReused() {
        Allocator.Block first = allocator.allocate("test", 10_000);
        allocator.free(first);
        assertThat(allocator.stats().pooledBytes()).isGreaterThanOrEqualTo(10_000);
        Allocator.Block second = allocator.allocate("test", 9_900);
        assertThat(second).isSameAs(first);
        assertThat(allocator.stats().pooledBytes()).isZero();
    }

    @Test
    void requestsBeyondTheLimitFailAndSmallerOnesStillSucceed() {
        Allocator.Block half = allocator.allocate("test", LIMIT / 2);
        assertThatThrownBy(() -> allocator.allocate("big", LIMIT / 2 + 1)).isInstanceOf(OutOfDeviceMemoryException.class)
                .hasMessageContaining("big").hasMessageContaining(Long.toString(LIMIT / 2 + 1)).hasMessageContaining("in use");
        allocator.free(allocator.allocate("test", LIMIT / 2));
        allocator.free(half);
        assertThat(allocator.allocate("test", LIMIT).segment().byteSize()).isGreaterThanOrEqualTo(LIMIT);
    }

    @Test
    void requestsThatNoMachineCanServeFailCleanly() {
        Allocator unlimited = new Allocator(Long.MAX_VALUE, Long.MAX_VALUE, false);
        assertThatThrownBy(() -> unlimited.allocate("huge", 1L << 60)).isInstanceOf(OutOfDeviceMemoryException.class);
        assertThatThrownBy(() -> unlimited.allocate("huge", Long.MAX_VALUE - 64)).isInstanceOf(OutOfDeviceMemoryException.class);
        unlimited.close();
    }

    @Test
    void thePoolKeepsNoMoreThanItsLimit() {
        Allocator.Block a = allocator.allocate("test", LIMIT / 4);
        Allocator.Block b = allocator.allocate("test", LIMIT / 4 + 64_000);
        Allocator.Block c = allocator.allocate("test", LIMIT / 4 - 64_000);
        allocator.free(a);
        allocator.free(b);
        allocator.free(c);
        assertThat(allocator.stats().pooledBytes()).isPositive().isLessThanOrEqualTo(LIMIT / 2);
        assertThat(allocator.stats().liveBytes()).isZero();
    }

    @Test
    void statisticsCountLiveAndPeakBytes() {
        Allocator.Block a = allocator.allocate("test", 6_400);
        Allocator.Block b = allocator.allocate("test", 640);
        allocator.free(a);
        assertThat(allocator.stats().liveBytes()).isEqualTo(640);
        assertThat(allocator.stats().peakBytes()).isEqualTo(7_040);
        assertThat(allocator.stats().limitBytes()).isEqualTo(LIMIT);
        allocator.free(b);
    }

    @Test
    void poisonedMemoryIsNaNWhenFreshAndWhenReused() {
        Allocator poisoned = new Allocator(LIMIT, LIMIT, true);
        for (int round = 0; round < 2; round++) {
            Allocator.Block block = poisoned.allocate("test", 400);
            for (int i = 0; i < 100; i++) {
                assertThat(block.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i)).isNaN();
            }
            block.segment().fill((byte) 0);
            poisoned.free(block);
        }
        poisoned.close();
    }

    @Test
    void aClosedAllocatorGivesNothingAndTakesBackQuietly() {
        Allocator.Block block = allocator.allocate("test", 100);
        allocator.close();
        allocator.free(block);
        assertThatThrownBy(() -> allocator.allocate("late", 1)).isInstanceOf(BackendException.class).hasMessageContaining("late");
    }
}
