package dev.sequent.backend.djl;

/**
 * The k best of n keys: greatest first, equal ones by ascending index. A heap keeps the best so far with the worst of them on top. Used by
 * one thread.
 */
final class TopRows {
    private final long[] keys;
    private final int[] heap;

    /** Selects among {@code keys}, which the caller fills before every {@link #select}. */
    TopRows(long[] keys, int k) {
        this.keys = keys;
        this.heap = new int[k];
    }

    /** Finds the best. */
    void select() {
        int k = heap.length;
        if (k == 0) {
            return;
        }
        for (int i = 0; i < k; i++) {
            heap[i] = i;
        }
        for (int i = k / 2 - 1; i >= 0; i--) {
            sink(i, k);
        }
        for (int i = k; i < keys.length; i++) {
            if (isWorse(heap[0], i)) {
                heap[0] = i;
                sink(0, k);
            }
        }
        // taking the worst away again and again leaves the best in front
        for (int end = k - 1; end > 0; end--) {
            int worst = heap[0];
            heap[0] = heap[end];
            heap[end] = worst;
            sink(0, end);
        }
    }

    /** Index of the key that is {@code rank}-th best. */
    int index(int rank) {
        return heap[rank];
    }

    private boolean isWorse(int a, int b) {
        return keys[a] < keys[b] || keys[a] == keys[b] && a > b;
    }

    private void sink(int from, int size) {
        int at = from;
        int moving = heap[at];
        while (2 * at + 1 < size) {
            int child = 2 * at + 1;
            if (child + 1 < size && isWorse(heap[child + 1], heap[child])) {
                child++;
            }
            if (!isWorse(heap[child], moving)) {
                break;
            }
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = moving;
    }
}
