package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.spi.Backend;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.SequentException;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Identity of a backend, and the way of elements in and out of it. */
public interface StorageContract extends BackendFixture {
    /** Every device describes itself and claims at least the types that models are made of. */
    @Test
    default void devicesDescribeThemselves() {
        assertThat(backend().name()).matches("[a-z][a-z0-9_-]*");
        assertThat(backend().deviceCount()).isPositive();
        for (int device = 0; device < backend().deviceCount(); device++) {
            Capabilities can = backend().capabilities(device);
            assertThat(can.description()).isNotBlank().doesNotContain("\n");
            assertThat(can.dtypes()).contains(DType.F32, DType.I64, DType.BOOL);
            assertThat(backend().memory(device).limitBytes()).isPositive();
            backend().synchronize(device);
        }
        assertThat(backend().facility(Runnable.class)).isEmpty();
    }

    /** A device that does not exist is an error of this library. */
    @Test
    default void unknownDevicesAreRefused() {
        for (int device : new int[] {-1, backend().deviceCount(), 99}) {
            assertThatThrownBy(() -> backend().capabilities(device)).isInstanceOf(SequentException.class);
            assertThatThrownBy(() -> backend().memory(device)).isInstanceOf(SequentException.class);
            assertThatThrownBy(() -> backend().full(Shape.of(1), DType.F32, 0, device)).isInstanceOf(SequentException.class);
            assertThatThrownBy(() -> backend().iota(1, DType.F32, device)).isInstanceOf(SequentException.class);
            assertThatThrownBy(() -> backend().randomUniform(Shape.of(1), DType.F32, 0, 0, device)).isInstanceOf(SequentException.class);
        }
    }

    /** A type that the device does not claim is an error of this library. */
    @TestFactory
    default Stream<DynamicTest> unclaimedDtypesAreRefused() {
        return Arrays.stream(DType.values()).filter(dtype -> !dtypes().contains(dtype)).map(dtype -> law("refuses " + dtype,
                w -> assertThatThrownBy(() -> backend().full(Shape.of(1), dtype, 0, 0)).isInstanceOf(SequentException.class)));
    }

    /** Every bit comes back, for every shape in every layout. */
    @TestFactory
    default Stream<DynamicTest> downloadReturnsWhatWasUploaded() {
        return perDType("round trip", dtype -> true, (w, dtype) -> {
            BackendFixture.forShapesAndLayouts(dtype, (x, layout) -> w.expect(x, w.upload(x, layout)));
            w.expect(HostTensor.random(Shape.of(70_001), dtype, 2), w.upload(HostTensor.random(Shape.of(70_001), dtype, 2)));
        });
    }

    /** Numbers pass bit by bit: also negative zero, subnormal numbers and infinities. */
    @TestFactory
    default Stream<DynamicTest> bytesPassUnchanged() {
        return perDType("bytes", dtype -> dtype != DType.BOOL, (w, dtype) -> {
            byte[] bytes = new byte[999 * dtype.bytes()];
            new SplittableRandom(11).nextBytes(bytes);
            // exponents of all ones would be NaN, of which only the fact survives
            for (int i = dtype.bytes() - 1; i < bytes.length; i += dtype.bytes()) {
                bytes[i] &= (byte) (dtype.isFloat() ? 0xBB : 0xFF);
            }
            TensorHandle x = w.keep(w.backend().upload(ByteBuffer.wrap(bytes), Shape.of(27, 37), dtype, 0));
            ByteBuffer target = ByteBuffer.allocate(bytes.length);
            w.backend().download(x, target);
            assertThat(target.array()).isEqualTo(bytes);
        });
    }

    /** Buffers of any kind, byte order and position; bytes outside position and limit are left alone. */
    @TestFactory
    default Stream<DynamicTest> buffersAreUsedBetweenPositionAndLimit() {
        return perDType("buffers", dtype -> true, (w, dtype) -> {
            HostTensor x = HostTensor.random(Shape.of(3, 7), dtype, 4);
            int length = x.size() * dtype.bytes();
            for (boolean direct : new boolean[] {false, true}) {
                ByteBuffer source = (direct ? ByteBuffer.allocateDirect(length + 24) : ByteBuffer.allocate(length + 24))
                        .order(ByteOrder.BIG_ENDIAN);
                source.position(11).put(x.bytes()).flip().position(11);
                TensorHandle handle = w.keep(w.backend().upload(source.asReadOnlyBuffer(), x.shape(), dtype, 0));
                ByteBuffer target = (direct ? ByteBuffer.allocateDirect(length + 24) : ByteBuffer.allocate(length + 24))
                        .order(ByteOrder.BIG_ENDIAN);
                for (int i = 0; i < target.capacity(); i++) {
                    target.put(i, (byte) 0x55);
                }
                w.backend().download(handle, target.position(7).limit(7 + length));
                target.clear();
                w.expect(x, w.upload(HostTensor.of(x.shape(), dtype, target.slice(7, length))));
                for (int i = 0; i < target.capacity(); i++) {
                    assertThat(i >= 7 && i < 7 + length || target.get(i) == 0x55).as("byte %d outside is untouched", i).isTrue();
                }
                w.expect(x, handle);
            }
        });
    }

    /** An upload is a copy: the caller may use the buffer again at once. */
    @Test
    default void uploadCopies() {
        try (Workspace w = new Workspace(backend())) {
            HostTensor x = HostTensor.random(Shape.of(100), DType.F32, 1);
            ByteBuffer source = ByteBuffer.allocateDirect(400).put(x.bytes()).flip();
            TensorHandle handle = w.keep(backend().upload(source, x.shape(), DType.F32, 0));
            for (int i = 0; i < 400; i++) {
                source.put(i, (byte) 0);
            }
            w.expect(x, handle);
        }
    }

    /** A write changes the target's part and nothing else, whatever the source's layout. */
    @TestFactory
    default Stream<DynamicTest> writeReplacesOnePart() {
        return perDType("write", dtype -> true, (w, dtype) -> BackendFixture.forShapesAndLayouts(dtype, (source, layout) -> {
            int rank = source.shape().rank();
            long[] start = new long[rank];
            Arrays.setAll(start, axis -> (axis + 2) % 3);
            Shape shape = Shape.of(Arrays.stream(source.shape().toArray()).map(n -> n + 3).toArray());
            HostTensor target = HostTensor.random(shape, dtype, 5);
            TensorHandle handle = w.upload(target);
            TensorHandle written = w.upload(source, layout);
            w.backend().write(handle, start, written);
            HostTensor expected = written(target, start, source);
            expected.requireEqual(w.download(handle));
            w.expect(source, written);
            w.release(handle);
        }));
    }

    private static HostTensor written(HostTensor target, long[] start, HostTensor source) {
        int[] from = new int[target.size()];
        for (int i = 0; i < from.length; i++) {
            long[] c = target.coordinate(i);
            boolean isInside = true;
            for (int axis = 0; axis < c.length; axis++) {
                c[axis] -= start[axis];
                isInside &= c[axis] >= 0 && c[axis] < source.shape().dim(axis);
            }
            from[i] = isInside ? source.index(c) : -1;
        }
        return target.isFloat()
                ? HostTensor.floats(target.shape(), target.dtype(), i -> from[i] < 0 ? target.number(i) : source.number(from[i]))
                : HostTensor.integers(target.shape(), target.dtype(), i -> from[i] < 0 ? target.integer(i) : source.integer(from[i]));
    }

    /** A cache: allocated once, written token by token, read through views that are released before the next write. */
    @TestFactory
    default Stream<DynamicTest> writesAndReadsAlternate() {
        return perDType("cache", DType::isFloat, (w, dtype) -> {
            HostTensor tokens = HostTensor.random(Shape.of(2, 9, 5), dtype, 6);
            TensorHandle cache = w.keep(w.backend().full(tokens.shape(), dtype, 0, 0));
            for (int t = 0; t < 9; t++) {
                int at = t;
                HostTensor token = tokens.moved(Shape.of(2, 1, 5), c -> new long[] {c[0], at, c[2]});
                TensorHandle handle = w.upload(token);
                w.backend().write(cache, new long[] {0, t, 0}, handle);
                w.release(handle);
                HostTensor seen = tokens.moved(Shape.of(2, t + 1, 5), c -> c);
                w.expect(seen, w.backend().slice(cache, new long[3], new long[] {2, t + 1, 5}));
            }
        });
    }

    /** A request that no memory can hold is an error of this library, and what is there stays usable. */
    @Test
    default void hugeRequestsAreRefused() {
        Backend b = backend();
        try (Workspace w = new Workspace(b)) {
            TensorHandle x = w.keep(b.full(Shape.of(3), DType.F32, 2, 0));
            for (Shape huge : new Shape[] {Shape.of(1L << 50), Shape.of(1L << 62), Shape.of(Long.MAX_VALUE),
                    Shape.of(1L << 31, 1L << 31)}) {
                assertThatThrownBy(() -> b.full(huge, DType.F64, 0, 0)).isInstanceOf(OutOfDeviceMemoryException.class);
                assertThatThrownBy(() -> b.randomUniform(huge, DType.F32, 0, 0, 0)).isInstanceOf(OutOfDeviceMemoryException.class);
            }
            w.expect(HostTensor.vector(DType.F32, 2, 2, 2), x);
        }
    }
}
