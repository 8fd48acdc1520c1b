package dev.sequent.fused.optim;

import dev.sequent.spi.Parallel;
import java.util.Arrays;

/**
 * Divides a list of tensors into chunks of about equal size, so that one parallel loop covers all of them: a thousand small
 * parameters cost one loop, not a thousand. The division depends on the sizes alone. Immutable and thread-safe.
 */
final class TensorChunks {
    /** Small enough to balance, large enough to hide the hand-over; four streams of a chunk fill a quarter of a 2 MB cache. */
    private static final int CHUNK = 32 * 1024;

    private final long[] sizes;
    /** Number of the first chunk of every tensor, and the number of chunks. */
    private final int[] first;

    TensorChunks(long... sizes) {
        this.sizes = sizes.clone();
        first = new int[sizes.length + 1];
        for (int i = 0; i < sizes.length; i++) {
            first[i + 1] = Math.addExact(first[i], Math.toIntExact(Math.ceilDiv(sizes[i], CHUNK)));
        }
    }

    /** Work on a part of one tensor. */
    @FunctionalInterface
    interface Body {
        /** Handles {@code n} elements of tensor number {@code tensor} from element {@code at}; {@code chunk} counts over all tensors. */
        void run(int chunk, int tensor, long at, int n);
    }

    /** Number of tensors. */
    int tensors() {
        return sizes.length;
    }

    /** Number of chunks of all tensors. */
    int chunks() {
        return first[sizes.length];
    }

    void forEach(Parallel parallel, Body body) {
        parallel.forEach(chunks(), chunk -> {
            int found = Arrays.binarySearch(first, chunk);
            int tensor = found >= 0 ? found : -found - 2;
            // an empty tensor starts with the same chunk as the one after it
            while (first[tensor + 1] == chunk) {
                tensor++;
            }
            long at = (long) (chunk - first[tensor]) * CHUNK;
            body.run(chunk, tensor, at, (int) Math.min(CHUNK, sizes[tensor] - at));
        });
    }
}
