package dev.sequent.io;

import java.util.Arrays;

/**
 * Streams any tokenizer: ids wait until their text no longer ends in U+FFFD, the sign of an incomplete character. A few
 * ids already emitted stay in front of the window, because a tokenizer may join tokens (spaces, for instance) by context.
 */
final class WindowDecoder implements TokenDecoder {
    /** An id sequence that has not become whole after this many ids is not going to. */
    private static final int PATIENCE = 16;

    private final Tokenizer tokenizer;
    private int[] ids = new int[2 * PATIENCE];
    private int size;
    private int emitted;

    WindowDecoder(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    @Override
    public String next(int id) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
        }
        ids[size++] = id;
        return emit(size - emitted > PATIENCE);
    }

    @Override
    public String finish() {
        String rest = emit(true);
        size = 0;
        emitted = 0;
        return rest;
    }

    private String emit(boolean evenIncomplete) {
        if (emitted == size) {
            return "";
        }
        String before = tokenizer.decode(Arrays.copyOf(ids, emitted));
        String all = tokenizer.decode(Arrays.copyOf(ids, size));
        if (!evenIncomplete && all.endsWith("\uFFFD")) {
            return "";
        }
        // a context that decodes differently in front of new ids would repeat or lose text, so only a common prefix is skipped
        int same = 0;
        while (same < before.length() && same < all.length() && before.charAt(same) == all.charAt(same)) {
            same++;
        }
        System.arraycopy(ids, emitted, ids, 0, size - emitted);
        size -= emitted;
        emitted = size;
        return all.substring(same);
    }
}
