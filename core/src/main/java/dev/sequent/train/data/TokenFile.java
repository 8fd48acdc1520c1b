package dev.sequent.train.data;

import dev.sequent.io.AtomicFiles;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * Tokens in a file without header, little-endian: 16-bit ids as nanoGPT's {@code train.bin}, or 32-bit ids. The file is mapped, not
 * read, and may be larger than memory; ids are checked against the vocabulary when they are copied out, and
 * {@link #requireIds} checks them all.
 *
 * <p>Safe for use by several threads. The file must not change while it is open.
 */
public final class TokenFile extends TokenDataset implements AutoCloseable {
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int CHUNK = 1 << 20;

    /** How an id is stored. */
    public enum Width {
        /** Unsigned, 16 bits: ids up to 65,535. */
        U16(2, 1 << 16),
        /** 32 bits. */
        I32(4, Integer.MAX_VALUE);

        private final int bytes;
        private final int limit;

        Width(int bytes, int limit) {
            this.bytes = bytes;
            this.limit = limit;
        }

        /** The narrowest width for a vocabulary. */
        public static Width of(int vocabularySize) {
            return vocabularySize <= U16.limit ? U16 : I32;
        }
    }

    private final Path path;
    private final Arena arena;
    private final MemorySegment data;
    private final Width width;

    private TokenFile(Path path, Arena arena, MemorySegment data, Width width, int vocabularySize) {
        super(vocabularySize);
        this.path = path;
        this.arena = arena;
        this.data = data;
        this.width = width;
    }

    /**
     * Opens a file.
     *
     * @throws DataException when it is missing, unreadable, empty, or ends within an id
     */
    public static TokenFile open(Path path, Width width, int vocabularySize) {
        if (!Files.isRegularFile(path)) {
            String given = Files.exists(path) ? "the directory or special file " : "the missing ";
            throw new DataException("tokens", "a file of token ids", given + path);
        }
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size == 0 || size % width.bytes != 0) {
                throw new DataException("tokens", "ids of " + width.bytes + " bytes, at least one", size + " bytes in " + path);
            }
            TokenFile file = new TokenFile(path, arena, channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena), width, vocabularySize);
            arena = null;
            return file;
        } catch (IOException e) {
            throw new DataException("[tokens] expected a readable file, given " + path + ": " + e, e);
        } finally {
            if (arena != null) {
                arena.close();
            }
        }
    }

    /**
     * Writes a file, replacing an old one as a whole.
     *
     * @param chunks ids in order, in arrays of any length
     * @throws DataException when an id does not fit the width
     */
    public static void write(Path path, Width width, Iterable<int[]> chunks) {
        AtomicFiles.write(path, out -> {
            ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
            for (int[] chunk : chunks) {
                for (int id : chunk) {
                    put(buffer, width, id);
                    if (!buffer.hasRemaining()) {
                        drain(buffer, out);
                    }
                }
            }
            drain(buffer, out);
        });
    }

    /** Writes all tokens of an array. */
    public static void write(Path path, Width width, int[] ids) {
        write(path, width, List.of(ids));
    }

    @Override
    public long size() {
        return data.byteSize() / width.bytes;
    }

    @Override
    protected void read(long from, int[] target, int offset, int count) {
        if (!arena.scope().isAlive()) {
            throw new DataException("tokens", "an open file", path + ", which was closed");
        }
        if (width == Width.U16) {
            for (int i = 0; i < count; i++) {
                target[offset + i] = Short.toUnsignedInt(data.get(SHORT, (from + i) * 2));
            }
        } else {
            for (int i = 0; i < count; i++) {
                target[offset + i] = data.get(INT, (from + i) * 4);
            }
        }
    }

    /** Unmaps the file. Idempotent. */
    @Override
    public synchronized void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    private static void put(ByteBuffer buffer, Width width, int id) {
        if (id < 0 || id >= width.limit) {
            throw new DataException("tokens", "ids in [0, " + width.limit + ") for " + width, "id " + id);
        }
        if (width == Width.U16) {
            buffer.putShort((short) id);
        } else {
            buffer.putInt(id);
        }
    }

    private static void drain(ByteBuffer buffer, FileChannel out) throws IOException {
        buffer.flip();
        while (buffer.hasRemaining()) {
            out.write(buffer);
        }
        buffer.clear();
    }
}
