package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.SequentException;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** The life of handles and of the backend itself. */
public interface LifecycleContract extends BackendFixture {
    /** Every operation that takes a float matrix (2, 2) and, where it needs one, an I64 matrix of indices. */
    private static Map<String, Consumer<TensorHandle>> uses(Backend b, TensorHandle index, TensorHandle vector) {
        Map<String, Consumer<TensorHandle>> uses = new LinkedHashMap<>();
        Shape shape = Shape.of(2, 2);
        uses.put("download", x -> b.download(x, ByteBuffer.allocate(16)));
        uses.put("share", b::share);
        uses.put("write to", x -> b.write(x, new long[2], index));
        uses.put("write from", x -> b.write(index, new long[2], x));
        uses.put("unary", x -> b.unary(UnaryOp.EXP, x));
        uses.put("binary", x -> b.binary(BinaryOp.ADD, x, x));
        uses.put("binaryScalar", x -> b.binaryScalar(BinaryOp.ADD, x, 1, false));
        uses.put("compare", x -> b.compare(CompareOp.LT, x, x));
        uses.put("where", x -> b.where(x, x, x));
        uses.put("cast", x -> b.cast(x, DType.I64));
        uses.put("reduce", x -> b.reduce(ReduceOp.SUM, x, new int[] {0}));
        uses.put("argReduce", x -> b.argReduce(ReduceOp.MAX, x, 0));
        uses.put("scan", x -> b.scan(ReduceOp.SUM, x, 0, false));
        uses.put("reshape", x -> b.reshape(x, Shape.of(4)));
        uses.put("permute", x -> b.permute(x, new int[] {1, 0}));
        uses.put("broadcastTo", x -> b.broadcastTo(x, Shape.of(3, 2, 2)));
        uses.put("slice", x -> b.slice(x, new long[2], new long[] {1, 1}));
        uses.put("pad", x -> b.pad(x, new long[] {1, 1}, new long[2], 0));
        uses.put("flip", x -> b.flip(x, new int[] {0}));
        uses.put("concat", x -> b.concat(new TensorHandle[] {x, x}, 0));
        uses.put("contiguous", b::contiguous);
        uses.put("gather", x -> b.gather(x, 0, index));
        uses.put("scatterAdd", x -> b.scatterAdd(x, 0, index, x));
        uses.put("indexSelect", x -> b.indexSelect(x, 0, vector));
        uses.put("indexAdd", x -> b.indexAdd(x, 0, vector, x));
        uses.put("topK", x -> b.topK(x, 1));
        uses.put("matmul", x -> b.matmul(x, x, false, false));
        uses.put("full", x -> b.full(shape, DType.F32, 0, 0));
        uses.put("upload", x -> b.upload(ByteBuffer.allocate(16), shape, DType.F32, 0));
        uses.put("iota", x -> b.iota(3, DType.F32, 0));
        uses.put("randomUniform", x -> b.randomUniform(shape, DType.F32, 0, 0, 0));
        return uses;
    }

    private static boolean takesHandle(String use) {
        return !use.equals("full") && !use.equals("upload") && !use.equals("iota") && !use.equals("randomUniform");
    }

    /** Every returned handle counts as one, whether or not it shares memory, until it is released. */
    @Test
    default void everyHandleIsCountedOnce() {
        try (Workspace w = new Workspace(backend()); Backend b = open(Map.of())) {
            TensorHandle index = b.full(Shape.of(2, 2), DType.I64, 1, 0);
            TensorHandle vector = b.full(Shape.of(2), DType.I64, 1, 0);
            TensorHandle x = b.full(Shape.of(2, 2), DType.F32, 1, 0);
            TensorHandle holds = b.full(Shape.of(2, 2), DType.BOOL, 1, 0);
            uses(b, index, vector).forEach((name, use) -> {
                if (!name.equals("download") && !name.startsWith("write")) {
                    long before = b.memory(0).liveHandles();
                    use.accept(name.equals("where") ? holds : x);
                    assertThat(b.memory(0).liveHandles()).as("live handles after " + name).isEqualTo(before + 1);
                }
            });
            assertThat(w.backend().memory(0).liveHandles()).isNotNegative();
        }
    }

    /** Live bytes follow allocation and release, and the peak never falls. */
    @Test
    default void memoryIsAccountedFor() {
        Backend b = backend();
        MemoryStats before = b.memory(0);
        TensorHandle x = b.full(Shape.of(1000, 1000), DType.F32, 0, 0);
        MemoryStats during = b.memory(0);
        b.release(x);
        MemoryStats after = b.memory(0);
        assertThat(during.liveBytes() - before.liveBytes()).isGreaterThanOrEqualTo(4_000_000);
        assertThat(during.liveHandles()).isEqualTo(before.liveHandles() + 1);
        assertThat(during.peakBytes()).isGreaterThanOrEqualTo(during.liveBytes());
        assertThat(after.liveBytes()).isEqualTo(before.liveBytes());
        assertThat(after.liveHandles()).isEqualTo(before.liveHandles());
        assertThat(after.peakBytes()).isGreaterThanOrEqualTo(during.peakBytes());
    }

    /** Memory in use does not grow while the same work is done again and again. */
    @Test
    default void repeatedWorkDoesNotGrow() {
        Backend b = backend();
        long handles = b.memory(0).liveHandles();
        long reserved = 0;
        for (int round = 0; round < 100; round++) {
            try (Workspace w = new Workspace(b)) {
                TensorHandle x = w.keep(b.randomUniform(Shape.of(63, 100), DType.F32, round, 0, 0));
                TensorHandle y = w.keep(b.matmul(x, x, false, true));
                TensorHandle z = w.keep(b.permute(y, new int[] {1, 0}));
                w.keep(b.reduce(ReduceOp.SUM, z, new int[] {0}));
            }
            MemoryStats now = b.memory(0);
            if (round == 9) {
                reserved = now.liveBytes() + now.pooledBytes();
            }
            if (round > 9) {
                assertThat(now.liveBytes() + now.pooledBytes()).isEqualTo(reserved);
            }
        }
        assertThat(b.memory(0).liveHandles()).isEqualTo(handles);
    }

    /** Shared handles are released independently, in any order. */
    @Test
    default void sharedHandlesLiveIndependently() {
        Backend b = backend();
        HostTensor value = HostTensor.random(Shape.of(3, 17), DType.F32, 1);
        for (boolean originalFirst : new boolean[] {true, false}) {
            try (Workspace w = new Workspace(b)) {
                TensorHandle x = w.upload(value);
                TensorHandle y = w.keep(b.share(x));
                TensorHandle z = w.keep(b.share(y));
                w.release(originalFirst ? x : y);
                // what was freed too early would be handed out again and overwritten here
                w.keep(b.full(Shape.of(3, 17), DType.F32, Double.NaN, 0));
                w.expect(value, z);
                w.expect(value, originalFirst ? y : x);
            }
        }
    }

    /** Derived values outlive their operands, however the memory is used afterwards. */
    @Test
    default void resultsOutliveTheirOperands() {
        Backend b = backend();
        HostTensor value = HostTensor.random(Shape.of(8, 8), DType.F32, 1);
        try (Workspace w = new Workspace(b)) {
            TensorHandle x = w.upload(value);
            TensorHandle[] derived = {b.reshape(x, Shape.of(8, 8)), b.permute(x, new int[] {0, 1}),
                    b.slice(x, new long[2], new long[] {8, 8}),
                b.broadcastTo(x, Shape.of(8, 8)), b.contiguous(x), b.cast(x, DType.F32), b.flip(x, new int[0]),
                b.concat(new TensorHandle[] {x}, 0), b.pad(x, new long[2], new long[2], 0), b.reduce(ReduceOp.SUM, x, new int[0])};
            for (TensorHandle y : derived) {
                w.keep(y);
            }
            w.release(x);
            for (int i = 0; i < 20; i++) {
                w.keep(b.full(Shape.of(8, 8), DType.F32, Double.NaN, 0));
            }
            for (TensorHandle y : derived) {
                w.expect(value, y);
            }
        }
    }

    /** Whatever is asked of a released handle, the answer is the typed error, and nothing leaks. */
    @Test
    default void releasedHandlesAreRefused() {
        Backend b = backend();
        try (Workspace w = new Workspace(b)) {
            TensorHandle index = w.keep(b.full(Shape.of(2, 2), DType.I64, 1, 0));
            TensorHandle vector = w.keep(b.full(Shape.of(2), DType.I64, 1, 0));
            uses(b, index, vector).forEach((name, use) -> {
                if (takesHandle(name)) {
                    TensorHandle x = b.full(Shape.of(2, 2), DType.F32, 1, 0);
                    b.release(x);
                    assertThatThrownBy(() -> use.accept(x)).as(name + " of a released handle")
                            .isInstanceOf(ReleasedTensorException.class).hasMessageContaining("[");
                }
            });
            TensorHandle twice = b.full(Shape.of(2, 2), DType.F32, 1, 0);
            b.release(twice);
            assertThatThrownBy(() -> b.release(twice)).isInstanceOf(ReleasedTensorException.class);
            assertThat(twice.shape()).isEqualTo(Shape.of(2, 2));
            assertThat(twice.dtype()).isEqualTo(DType.F32);
        }
    }

    /** Whatever is asked of a closed backend, the answer is a typed error; closing again does nothing. */
    @Test
    default void closedBackendsAreRefused() {
        Backend b = open(Map.of());
        TensorHandle index = b.full(Shape.of(2, 2), DType.I64, 1, 0);
        TensorHandle vector = b.full(Shape.of(2), DType.I64, 1, 0);
        TensorHandle x = b.full(Shape.of(2, 2), DType.F32, 1, 0);
        Map<String, Consumer<TensorHandle>> uses = uses(b, index, vector);
        b.close();
        uses.forEach((name, use) ->
                assertThatThrownBy(() -> use.accept(x)).as(name + " after close").isInstanceOf(SequentException.class));
        assertThatThrownBy(() -> b.release(x)).isInstanceOf(SequentException.class);
        assertThatThrownBy(() -> b.memory(0)).isInstanceOf(SequentException.class);
        assertThatThrownBy(() -> b.capabilities(0)).isInstanceOf(SequentException.class);
        assertThatThrownBy(() -> b.synchronize(0)).isInstanceOf(SequentException.class);
        assertThatThrownBy(() -> b.facility(Runnable.class)).isInstanceOf(SequentException.class);
        assertThatCode(b::close).doesNotThrowAnyException();
    }

    /** Two open backends know nothing of each other, and closing one leaves the other alone. */
    @Test
    default void backendsAreIndependent() {
        try (Workspace w = new Workspace(backend())) {
            TensorHandle x = w.keep(backend().full(Shape.of(3), DType.F32, 2, 0));
            try (Backend other = open(Map.of())) {
                assertThat(other.memory(0).liveHandles()).isZero();
                other.full(Shape.of(100), DType.F32, 1, 0);
            }
            w.expect(HostTensor.vector(DType.F32, 2, 2, 2), x);
        }
    }

    /** An option that does not exist is an error that names it. */
    @Test
    default void unknownOptionsAreRefused() {
        assertThatThrownBy(() -> open(Map.of("no-such-option", "1")).close())
                .isInstanceOf(SequentException.class).hasMessageContaining("no-such-option");
    }
}
