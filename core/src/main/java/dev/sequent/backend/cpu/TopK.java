package dev.sequent.backend.cpu;

/** The k best of a sequence of keys: the greatest, and of equal ones the first. A heap with the worst of them at its root. */
final class TopK {
    private final long[] keys;
    private final long[] indices;
    private int size;

    TopK(int k) {
        keys = new long[k];
        indices = new long[k];
    }

    /** Takes part with {@code key}; indices come in ascending order. */
    void offer(long key, long index) {
        if (size < keys.length) {
            int i = size++;
            for (int parent = (i - 1) / 2; i > 0 && worse(key, index, keys[parent], indices[parent]); parent = (i - 1) / 2) {
                move(parent, i);
                i = parent;
            }
            keys[i] = key;
            indices[i] = index;
        } else if (key > keys[0]) {
            sink(key, index);
        }
    }

    /** The indices of the best, best first; empties the heap. */
    long[] descending() {
        long[] result = new long[size];
        while (size > 0) {
            result[size - 1] = indices[0];
            size--;
            sink(keys[size], indices[size]);
        }
        return result;
    }

    /** Replaces the root. */
    private void sink(long key, long index) {
        int i = 0;
        for (int child = 1; child < size; child = 2 * i + 1) {
            if (child + 1 < size && worse(keys[child + 1], indices[child + 1], keys[child], indices[child])) {
                child++;
            }
            if (!worse(keys[child], indices[child], key, index)) {
                break;
            }
            move(child, i);
            i = child;
        }
        keys[i] = key;
        indices[i] = index;
    }

    private void move(int from, int to) {
        keys[to] = keys[from];
        indices[to] = indices[from];
    }

    private static boolean worse(long key, long index, long otherKey, long otherIndex) {
        return key != otherKey ? key < otherKey : index > otherIndex;
    }
}
