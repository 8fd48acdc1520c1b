package dev.sequent.transformer.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.attention.AttentionMask;
import dev.sequent.type.CapacityException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.ShapeException;
import java.util.Map;
import org.junit.jupiter.api.Test;

class KvCacheTest {
    /** Token t of row b holds 10 b + t. */
    private static Tensor tokens(Device device, int batch, int from, int to) {
        float[] x = new float[batch * (to - from)];
        for (int i = 0; i < x.length; i++) {
            x[i] = i / (to - from) * 10 + from + i % (to - from);
        }
        return Tensor.of(device, x, batch, to - from, 1, 1);
    }

    private static void append(KvCache cache, Tensor x) {
        cache.append(x, x.add(100), SequenceInfo.of(x));
    }

    @Test
    void tokensStandInOrder() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open(); KvCache cache =
                new KvCache(new StateSpec(2, 6, DType.F32, device), 1, 1)) {
            append(cache, tokens(device, 2, 0, 3));
            append(cache, tokens(device, 2, 3, 4));
            assertThat(cache.keys().toFloats()).containsExactly(0, 1, 2, 3, 10, 11, 12, 13);
            assertThat(cache.values().toFloats()).containsExactly(100, 101, 102, 103, 110, 111, 112, 113);
            assertThat(cache.bytes()).isEqualTo(2 * 2 * 6 * 4);
            assertThat(cache.position()).isEqualTo(4);
            assertThat(cache.tokens()).containsExactly(4, 4);
        }
    }

    @Test
    void paddingOnTheRightIsNotStored() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open(); KvCache cache =
                new KvCache(new StateSpec(2, 4, DType.F32, device), 1, 1)) {
            Tensor x = tokens(device, 2, 0, 3);
            AttentionMask first = cache.append(x, x, SequenceInfo.of(x).withRightPadding(new int[] {3, 1}));
            assertThat(first.queryDocuments()).containsExactly(0, 0, 0, 0, -1, -1);
            Tensor next = tokens(device, 2, 5, 6);
            AttentionMask mask = cache.append(next, next, SequenceInfo.of(next));
            assertThat(cache.tokens()).containsExactly(4, 2);
            assertThat(mask.offsets()).containsExactly(3, 1);
            assertThat(mask.keyDocuments()).containsExactly(0, 0, 0, 0, 0, 0, -1, -1);
            assertThat(cache.keys().toFloats()).startsWith(0, 1, 2, 5, 10, 15);
        }
    }

    @Test
    void rewoundTokensAreForgottenAndReplaced() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open(); KvCache cache =
                new KvCache(new StateSpec(2, 4, DType.F32, device), 1, 1)) {
            append(cache, tokens(device, 2, 0, 4));
            cache.rewind(2);
            assertThat(cache.keys().toFloats()).containsExactly(0, 1, 10, 11);
            append(cache, tokens(device, 2, 7, 8));
            assertThat(cache.keys().toFloats()).containsExactly(0, 1, 7, 10, 11, 17);
            assertThat(cache.position()).isEqualTo(3);
            assertThatThrownBy(() -> cache.rewind(4)).isInstanceOf(CapacityException.class).hasMessageContaining("[0, 3]");
            assertThatThrownBy(() -> cache.rewind(-1)).isInstanceOf(CapacityException.class);
            assertThat(cache.tokens()).containsExactly(3, 3);
        }
    }

    @Test
    void aForkIsIndependentAndKeepsItsContents() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open(); KvCache cache =
                new KvCache(new StateSpec(1, 4, DType.F32, device), 1, 1)) {
            append(cache, tokens(device, 1, 0, 2));
            try (KvCache fork = cache.fork()) {
                append(fork, tokens(device, 1, 7, 8));
                append(cache, tokens(device, 1, 2, 3));
                assertThat(fork.keys().toFloats()).containsExactly(0, 1, 7);
            }
            assertThat(cache.keys().toFloats()).containsExactly(0, 1, 2);
        }
    }

    @Test
    void reorderingMovesWhatIsFilledAndTakesNoMoreMemory() {
        int capacity = 1 << 16;
        try (Device device = Device.open("cpu"); Scope _ = Scope.open();
                KvCache cache = new KvCache(new StateSpec(3, capacity, DType.F32, device), 1, 1)) {
            append(cache, tokens(device, 3, 0, 2));
            long before = device.memory().liveBytes();
            cache.reorder(new int[] {2, 0, 2});
            assertThat(cache.keys().toFloats()).containsExactly(20, 21, 0, 1, 20, 21);
            assertThat(cache.values().toFloats()).containsExactly(120, 121, 100, 101, 120, 121);
            assertThat(device.memory().peakBytes()).isLessThan(before + capacity);
            append(cache, tokens(device, 3, 7, 8));
            assertThat(cache.keys().toFloats()).containsExactly(20, 21, 7, 0, 1, 17, 20, 21, 27);
            cache.reorder(new int[] {1});
            assertThat(cache.keys().toFloats()).containsExactly(0, 1, 17);
            assertThat(cache.bytes()).isEqualTo(2L * capacity * 4);
        }
    }

    @Test
    void tooManyTokensAndUseAfterCloseAreErrors() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            KvCache cache = new KvCache(new StateSpec(1, 2, DType.F32, device), 1, 1);
            assertThatThrownBy(() -> append(cache, tokens(device, 1, 0, 3))).isInstanceOf(CapacityException.class)
                    .hasMessageContaining("at most 2");
            assertThat(cache.length()).isZero();
            assertThatThrownBy(() -> cache.reorder(new int[] {1})).isInstanceOf(ShapeException.class);
            cache.close();
            cache.close();
            assertThatThrownBy(cache::keys).isInstanceOf(ReleasedTensorException.class);
            assertThatThrownBy(cache::fork).isInstanceOf(ReleasedTensorException.class);
            assertThatThrownBy(cache::reset).isInstanceOf(ReleasedTensorException.class);
        }
    }

    @Test
    void memoryThatRunsOutHalfWayLeavesNothingBehind() {
        try (Device small = Device.open("cpu", Map.of("memoryLimit", "6000")); Scope _ = Scope.open()) {
            StateSpec spec = new StateSpec(1, 1000, DType.F32, small);
            assertThatThrownBy(() -> new KvCache(spec, 1, 1)).isInstanceOf(OutOfDeviceMemoryException.class);
            assertThat(small.memory().liveHandles()).isZero();
        }
    }

    /** With as many rows as before and with more, and with any part of the memory that it needs. */
    @Test
    void aReorderingThatRunsOutOfMemoryChangesNothing() {
        for (int[] rows : new int[][] {{1, 0}, {1, 0, 1}}) {
            int failures = 0;
            boolean done = false;
            for (int limit = 150_000; !done; limit += 2_000) {
                try (Device device = Device.open("cpu", Map.of("memoryLimit", limit + "")); Scope _ = Scope.open();
                        KvCache cache = new KvCache(new StateSpec(2, 4096, DType.F32, device), 1, 1)) {
                    for (int t = 0; t < 3000; t += 500) {
                        int from = t;
                        Scope.returning(() -> append(cache, device, from));
                    }
                    done = reorders(cache, rows);
                    failures += done ? 0 : 1;
                }
            }
            assertThat(failures).isGreaterThan(3);
        }
    }

    private static Tensor append(KvCache cache, Device device, int from) {
        Tensor x = tokens(device, 2, from, from + 500);
        append(cache, x);
        return x;
    }

    /** Whether there was memory for it. */
    private static boolean reorders(KvCache cache, int[] rows) {
        float[] keys = cache.keys().toFloats();
        float[] values = cache.values().toFloats();
        try {
            cache.reorder(rows);
            assertThat(cache.keys().toFloats()).startsWith(10).hasSize(rows.length * 3000);
            return true;
        } catch (OutOfDeviceMemoryException e) {
            assertThat(cache.keys().toFloats()).isEqualTo(keys);
            assertThat(cache.values().toFloats()).isEqualTo(values);
            assertThat(cache.tokens()).containsExactly(3000, 3000);
            return false;
        }
    }
}
