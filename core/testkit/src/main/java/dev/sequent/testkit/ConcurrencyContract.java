package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Many threads at once, and the same bits every time. */
public interface ConcurrencyContract extends BackendFixture {
    /** Threads that each do their own work on one backend get their own results. */
    @Test
    default void threadsDoNotDisturbEachOther() throws InterruptedException, ExecutionException {
        Backend b = backend();
        long handles = b.memory(0).liveHandles();
        HostTensor expected = results(b, 1);
        List<Callable<HostTensor>> tasks = new ArrayList<>();
        for (int task = 0; task < 12; task++) {
            tasks.add(() -> results(b, 1));
        }
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (Future<HostTensor> result : threads.invokeAll(tasks)) {
                expected.requireEqual(result.get());
            }
        }
        assertThat(b.memory(0).liveHandles()).isEqualTo(handles);
    }

    /** Threads may read one operand at the same time, and share and release handles to it. */
    @Test
    default void threadsShareOperands() throws InterruptedException, ExecutionException {
        Backend b = backend();
        try (Workspace w = new Workspace(b)) {
            HostTensor value = HostTensor.random(Shape.of(63, 100), DType.F32, 2);
            TensorHandle x = w.upload(value, Layout.PERMUTED);
            List<Callable<HostTensor>> tasks = new ArrayList<>();
            for (int task = 0; task < 8; task++) {
                tasks.add(() -> {
                    HostTensor last = null;
                    for (int round = 0; round < 25; round++) {
                        TensorHandle mine = b.share(x);
                        TensorHandle y = b.binaryScalar(BinaryOp.MUL, mine, 2, false);
                        b.release(mine);
                        last = HostTensor.download(b, y);
                        b.release(y);
                    }
                    return last;
                });
            }
            HostTensor expected = HostTensor.floats(value.shape(), DType.F32, i -> 2 * value.number(i));
            try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
                for (Future<HostTensor> result : threads.invokeAll(tasks)) {
                    expected.requireEqual(result.get());
                }
            }
            w.expect(value, x);
        }
    }

    /** A handle made by one thread is used and released by another. */
    @Test
    default void handlesMoveBetweenThreads() throws InterruptedException, ExecutionException {
        Backend b = backend();
        long handles = b.memory(0).liveHandles();
        try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
            for (int round = 0; round < 50; round++) {
                int value = round + 1;
                TensorHandle x = threads.submit(() -> b.full(Shape.of(1000), DType.F32, value, 0)).get();
                TensorHandle y = b.unary(UnaryOp.NEG, x);
                threads.submit(() -> b.release(x)).get();
                HostTensor expected = HostTensor.floats(y.shape(), DType.F32, i -> -value);
                expected.requireEqual(HostTensor.download(b, y));
                b.release(y);
            }
        }
        assertThat(b.memory(0).liveHandles()).isEqualTo(handles);
    }

    /** The same operations on the same values give the same bits, every time. */
    @Test
    default void repetitionGivesTheSameBits() {
        HostTensor first = results(backend(), 7);
        for (int round = 0; round < 3; round++) {
            first.requireEqual(results(backend(), 7));
        }
    }

    /** The number of threads changes no bit. */
    @Test
    default void threadCountChangesNoBit() {
        assumeTrue(threads(1).isPresent(), "this backend has no choice of threads");
        HostTensor one = resultsOf(threads(1).orElseThrow());
        for (int count : new int[] {2, 3}) {
            Map<String, String> options = threads(count).orElseThrow();
            BackendFixture.describe(count + " threads", () -> one.requireEqual(resultsOf(options)));
        }
    }

    private HostTensor resultsOf(Map<String, String> options) {
        try (Backend b = open(options)) {
            return results(b, 7);
        }
    }

    /** A bit of everything that a backend may split among threads, in one vector. */
    private static HostTensor results(Backend b, long seed) {
        List<TensorHandle> live = new ArrayList<>();
        TensorHandle x = b.randomUniform(Shape.of(257, 301), DType.F32, seed, 0, 0);
        TensorHandle y = b.unary(UnaryOp.SILU, x);
        TensorHandle product = b.matmul(x, y, false, true);                                   // (257, 257)
        TensorHandle narrow = b.slice(x, new long[2], new long[] {2, 301});
        TensorHandle decode = b.matmul(narrow, y, false, true);                               // (2, 257)
        TensorHandle total = b.reduce(ReduceOp.SUM, product, new int[] {0, 1});
        TensorHandle rows = b.reduce(ReduceOp.SUM, product, new int[] {0});
        TensorHandle columns = b.reduce(ReduceOp.SUM, product, new int[] {1});
        TensorHandle sums = b.scan(ReduceOp.SUM, product, 0, false);
        TensorHandle last = b.slice(sums, new long[] {256, 0}, new long[] {257, 257});
        TensorHandle uniform = b.randomUniform(Shape.of(4_000), DType.F32, seed, 9, 0);
        TensorHandle scaled = b.binaryScalar(BinaryOp.MUL, uniform, 61, false);
        TensorHandle index = b.cast(scaled, DType.I64);
        TensorHandle target = b.full(Shape.of(61), DType.F32, 0, 0);
        TensorHandle scattered = b.scatterAdd(target, 0, index, uniform);
        TensorHandle added = b.indexAdd(target, 0, index, uniform);
        List<TensorHandle> parts = new ArrayList<>();
        for (TensorHandle part : List.of(decode, total, rows, columns, last, scattered, added)) {
            parts.add(b.reshape(part, Shape.of(part.shape().size())));
        }
        TensorHandle all = b.concat(parts.toArray(TensorHandle[]::new), 0);
        HostTensor result = HostTensor.download(b, all);
        live.addAll(List.of(x, y, product, narrow, decode, total, rows, columns, sums, last, uniform, scaled, index, target, scattered,
                added, all));
        live.addAll(parts);
        live.forEach(b::release);
        return result;
    }
}
