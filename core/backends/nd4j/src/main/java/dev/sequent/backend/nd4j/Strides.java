package dev.sequent.backend.nd4j;

import dev.sequent.spi.Layout;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Arithmetic on strides, which count elements, and copies between layouts. */
final class Strides {
    private static final ValueLayout.OfShort B2 = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfInt B4 = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong B8 = ValueLayout.JAVA_LONG_UNALIGNED;

    /** Shorter rows are copied element by element: a bulk copy costs about as much as this. */
    private static final int BULK_BYTES = 96;

    private Strides() {}

    /** Distance in elements from the origin to a coordinate. */
    static long position(long[] coordinate, long[] strides) {
        long position = 0;
        for (int axis = 0; axis < coordinate.length; axis++) {
            position += coordinate[axis] * strides[axis];
        }
        return position;
    }

    /** Product of the sizes of the axes in {@code [from, to)}. */
    static long product(Shape shape, int from, int to) {
        long product = 1;
        for (int axis = from; axis < to; axis++) {
            product *= shape.dim(axis);
        }
        return product;
    }

    /** Elements in some layout: memory, position of the first element and strides. */
    record Place(MemorySegment memory, long offset, long[] strides) {
        static Place of(Nd4jHandle x) {
            return new Place(x.storage().segment(), x.offset(), x.strides());
        }

        /** The same elements from a coordinate on. */
        Place from(long[] start) {
            return new Place(memory, offset + position(start, strides), strides);
        }
    }

    /** Copies {@code shape} elements of {@code bytes} bytes. The places do not overlap. */
    static void copy(int bytes, Shape shape, Place source, Place target) {
        if (shape.size() == 0) {
            return;
        }
        Layout.Space space = Layout.collapse(shape.toArray(), source.strides, target.strides);
        long[] dims = space.dims();
        long[] from = space.strides()[0];
        long[] to = space.strides()[1];
        int inner = space.rank() - 1;
        long n = dims[inner];
        Row row = row(bytes, source.memory, target.memory, n, from[inner], to[inner]);
        long[] index = new long[space.rank()];
        long at = source.offset;
        long there = target.offset;
        for (long rows = shape.size() / n; rows > 0; rows--) {
            row.copy(at, there);
            for (int axis = inner - 1; axis >= 0; axis--) {
                at += from[axis];
                there += to[axis];
                index[axis]++;
                if (index[axis] < dims[axis]) {
                    break;
                }
                at -= dims[axis] * from[axis];
                there -= dims[axis] * to[axis];
                index[axis] = 0;
            }
        }
    }

    /** Copies elements between two positions. */
    private interface Row {
        void copy(long at, long there);
    }

    /** What copies one row of {@code n} elements. */
    private static Row row(int bytes, MemorySegment source, MemorySegment target, long n, long stepFrom, long stepTo) {
        if (stepFrom == 1 && stepTo == 1 && n * bytes > BULK_BYTES) {
            return (at, there) -> MemorySegment.copy(source, at * bytes, target, there * bytes, n * bytes);
        }
        return switch (bytes) {
            case 1 -> (at, there) -> {
                for (long i = 0; i < n; i++) {
                    target.set(ValueLayout.JAVA_BYTE, there + i * stepTo, source.get(ValueLayout.JAVA_BYTE, at + i * stepFrom));
                }
            };
            case 2 -> (at, there) -> {
                for (long i = 0; i < n; i++) {
                    target.set(B2, 2 * (there + i * stepTo), source.get(B2, 2 * (at + i * stepFrom)));
                }
            };
            case 4 -> stepFrom == 0 ? (at, there) -> {
                int value = source.get(B4, 4 * at);
                for (long i = 0; i < n; i++) {
                    target.set(B4, 4 * (there + i * stepTo), value);
                }
            } : (at, there) -> {
                for (long i = 0; i < n; i++) {
                    target.set(B4, 4 * (there + i * stepTo), source.get(B4, 4 * (at + i * stepFrom)));
                }
            };
            default -> (at, there) -> {
                for (long i = 0; i < n; i++) {
                    target.set(B8, 8 * (there + i * stepTo), source.get(B8, 8 * (at + i * stepFrom)));
                }
            };
        };
    }
}
