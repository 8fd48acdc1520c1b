package dev.sequent.backend.cuda;

import dev.sequent.backend.cuda.Arguments.Address;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.Layout;
import dev.sequent.spi.Layout.Space;
import dev.sequent.type.Shape;
import java.util.Arrays;

/** Copies between layouts on one device. Called with the device's lock. */
final class Movement {
    private static final int THREADS = 256;
    private static final int TILE = 32;
    private static final int TILE_ROWS = 8;
    private static final long MAX_GRID_YZ = 65_535;

    private final CudaDevice device;
    private final Kernels kernels;

    Movement(CudaDevice device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    /** A copy of {@code x} in row-major order. */
    CudaHandle dense(String op, CudaHandle x) {
        CudaHandle y = device.allocate(op, x.shape(), x.dtype());
        copy(op, x, 0, x.strides(), y, 0, y.strides(), x.shape().toArray());
        return y;
    }

    /** {@code x} itself under a further handle where it is in row-major order, else a copy. */
    CudaHandle contiguous(String op, CudaHandle x) {
        return x.contiguous() ? x.share() : dense(op, x);
    }

    /** Copies {@code source} into {@code target} from coordinate {@code start} on. */
    void paste(String op, CudaHandle target, long[] start, CudaHandle source) {
        long to = 0;
        for (int i = 0; i < start.length; i++) {
            to += start[i] * target.strides()[i];
        }
        copy(op, source, 0, source.strides(), target, to, target.strides(), source.shape().toArray());
    }

    /** A copy with the order of elements reversed along axes. */
    CudaHandle flip(CudaHandle x, int[] axes) {
        CudaHandle y = device.allocate("flip", x.shape(), x.dtype());
        long[] strides = x.strides().clone();
        long from = 0;
        for (int axis : axes) {
            from += (x.shape().dim(axis) - 1) * strides[axis];
            strides[axis] = -strides[axis];
        }
        copy("flip", x, from, strides, y, 0, y.strides(), x.shape().toArray());
        return y;
    }

    private void copy(String op, CudaHandle x, long from, long[] fromStrides, CudaHandle y, long to, long[] toStrides, long[] dims) {
        long n = Arrays.stream(dims).reduce(1, (a, b) -> a * b);
        if (n == 0) {
            return;
        }
        device.use(x.storage());
        device.use(y.storage());
        int bytes = x.dtype().bytes();
        long source = x.address() + from * bytes;
        long target = y.address() + to * bytes;
        Space space = Layout.collapse(dims, fromStrides, toStrides);
        if (Strides.isFlat(space)) {
            device.driver().copyOnDevice(target, source, n * bytes, device.stream());
        } else if (isTransposition(space)) {
            transpose(Kernels.word(x.dtype()), source, target, space);
        } else {
            device.launch(kernels.moving("copy<" + Kernels.word(x.dtype()) + ">"), device.grid(n, THREADS), new Address(source),
                    new Address(target), n, Strides.argument(op, space));
        }
    }

    /** Matrices (rows, columns) whose rows lie side by side in the source, and one after the other in the target. */
    private static boolean isTransposition(Space s) {
        int rank = s.rank();
        if (rank < 2 || rank > 3) {
            return false;
        }
        long rows = s.dims()[rank - 2];
        long columns = s.dims()[rank - 1];
        long[] from = s.strides()[0];
        long[] to = s.strides()[1];
        return from[rank - 2] == 1 && from[rank - 1] > 1 && to[rank - 1] == 1 && to[rank - 2] == columns && rows >= TILE_ROWS
                && columns >= TILE_ROWS && rows <= MAX_GRID_YZ * TILE
                && (rank == 2 || s.dims()[0] <= MAX_GRID_YZ && to[0] == rows * columns);
    }

    private void transpose(String word, long source, long target, Space s) {
        int rank = s.rank();
        long rows = s.dims()[rank - 2];
        long columns = s.dims()[rank - 1];
        int batch = rank == 3 ? (int) s.dims()[0] : 1;
        Grid grid = Grid.of(1, 1).threads(TILE, TILE_ROWS, 1).blocks((int) ((columns + TILE - 1) / TILE), (int) ((rows + TILE - 1) / TILE),
                batch);
        device.launch(kernels.moving("transpose<" + word + ">"), grid, new Address(source), new Address(target), rows, columns,
                s.strides()[0][rank - 1], rank == 3 ? s.strides()[0][0] : 0L);
    }

    /** The shape of parts joined along an axis. */
    static Shape joined(CudaHandle[] parts, int axis) {
        long size = Arrays.stream(parts).mapToLong(part -> part.shape().dim(axis)).sum();
        return parts[0].shape().with(axis, size);
    }
}
