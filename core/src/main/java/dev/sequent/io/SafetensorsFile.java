package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * One safetensors file: 8 bytes with the length of a JSON header, the header, then the tensors' bytes, all little-endian.
 *
 * <p>Reading is strict. The header's length is checked against the file before anything is allocated; it must be one JSON object of at
 * most 100 MB without duplicate names; types other than {@link DType}'s constants, shapes that do not fit their bytes, overlapping
 * ranges, holes, and bytes after the last tensor are errors ({@link CheckpointException}) that name the tensor. The file is mapped, so
 * that any size opens at once and without heap memory.
 *
 * <p>Writing streams: no more than one chunk is in memory, and {@link AtomicFiles} keeps the old file until the new one is complete.
 * Tensors are ordered as the reference writes them (by falling alignment, then by name) and the header is padded to 8 bytes, so that
 * every tensor is aligned to its element size.
 *
 * <pre>{@code
 * try (SafetensorsFile file = SafetensorsFile.open(Path.of("model.safetensors"))) {
 *     for (StoredTensor t : file.tensors()) {
 *         System.out.println(t.name() + " " + t.dtype() + " " + t.shape());
 *     }
 *     float first = file.data("wte.weight").get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
 * }
 * }</pre>
 *
 * <p>An open file is safe for use by several threads.
 */
public final class SafetensorsFile implements WeightStore {
    private static final int PREFIX = 8;
    private static final int CHUNK = 1 << 20;
    private static final ValueLayout.OfLong LENGTH = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final Arena arena;
    private final MemorySegment data;
    private final Map<String, String> metadata;
    private final Map<String, SafetensorsHeader.Place> places = new LinkedHashMap<>();
    private final List<StoredTensor> tensors;

    private SafetensorsFile(Path path, Arena arena, MemorySegment data, SafetensorsHeader header) {
        this.path = path;
        this.arena = arena;
        this.data = data;
        this.metadata = header.metadata();
        header.places().forEach(place -> places.put(place.tensor().name(), place));
        this.tensors = header.places().stream().map(SafetensorsHeader.Place::tensor).toList();
    }

    /**
     * Opens and checks {@code path}.
     *
     * @throws CheckpointException when the file is missing, unreadable or malformed
     */
    public static SafetensorsFile open(Path path) {
        String source = String.valueOf(path.getFileName());
        if (!Files.isRegularFile(path)) {
            throw new CheckpointException(source, "a safetensors file", AtomicFiles.describe(path));
        }
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size < PREFIX + 2) {
                throw new CheckpointException(source, "at least 10 bytes: a header length and a header", size + " bytes");
            }
            MemorySegment file = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
            long length = file.get(LENGTH, 0);
            if (length < 2 || length > SafetensorsHeader.MAX_BYTES) {
                throw new CheckpointException(source, "a header of 2 to " + SafetensorsHeader.MAX_BYTES + " bytes",
                        Long.toUnsignedString(length));
            }
            if (length > size - PREFIX) {
                throw new CheckpointException(source, "a header of " + length + " bytes", "a file of " + size + " bytes: it is truncated");
            }
            ByteBuffer headerBytes = file.asSlice(PREFIX, length).asByteBuffer();
            SafetensorsHeader header = SafetensorsHeader.read(headerBytes, size - PREFIX - length, source);
            SafetensorsFile opened = new SafetensorsFile(path, arena, file.asSlice(PREFIX + length).asReadOnly(), header);
            arena = null;
            return opened;
        } catch (IOException e) {
            throw new CheckpointException("[" + source + "] expected a readable file, given " + AtomicFiles.describe(path) + ": " + e, e);
        } finally {
            if (arena != null) {
                arena.close();
            }
        }
    }

    /** A tensor to be written. */
    public interface Source {
        /** Name, type and shape. */
        StoredTensor tensor();

        /**
         * Passes the tensor's bytes, row-major and little-endian, to {@code sink} in one or more chunks. A chunk is used only during
         * the call, so that one staging buffer serves all.
         */
        void transferTo(Consumer<MemorySegment> sink);

        /** A tensor whose bytes are in memory, for example heap or mapped memory. */
        static Source of(String name, DType dtype, Shape shape, MemorySegment data) {
            StoredTensor tensor = new StoredTensor(name, dtype, shape, SafetensorsHeader.bytes(dtype, shape));
            return new Source() {
                @Override
                public StoredTensor tensor() {
                    return tensor;
                }

                @Override
                public void transferTo(Consumer<MemorySegment> sink) {
                    sink.accept(data);
                }
            };
        }
    }

    /**
     * Writes a file, or leaves what was there when anything fails.
     *
     * @param metadata free text, written in the map's order
     * @param sources  the tensors in any order; names must be distinct
     * @throws CheckpointException when names repeat, a source passes the wrong number of bytes, or the disk fails
     */
    public static void write(Path path, Map<String, String> metadata, Collection<? extends Source> sources) {
        Map<String, Source> byName = new LinkedHashMap<>();
        sources.forEach(source -> byName.put(source.tensor().name(), source));
        SafetensorsHeader header = SafetensorsHeader.layOut(metadata, sources.stream().map(Source::tensor).toList());
        byte[] json = header.write().getBytes(StandardCharsets.UTF_8);
        int padded = json.length + PREFIX - 1 & -PREFIX;
        if (padded > SafetensorsHeader.MAX_BYTES) {
            throw new CheckpointException("safetensors", "a header of at most " + SafetensorsHeader.MAX_BYTES + " bytes",
                    padded + " bytes");
        }
        AtomicFiles.write(path, out -> {
            ByteBuffer head = ByteBuffer.allocate(PREFIX + padded).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(json);
            while (head.hasRemaining()) {
                head.put((byte) ' ');
            }
            AtomicFiles.writeFully(out, head.flip());
            ByteBuffer staging = ByteBuffer.allocateDirect(CHUNK);
            for (SafetensorsHeader.Place place : header.places()) {
                writeTensor(out, byName.get(place.tensor().name()), staging);
            }
        });
    }

    @Override
    public List<StoredTensor> tensors() {
        return tensors;
    }

    @Override
    public boolean contains(String name) {
        return places.containsKey(name);
    }

    @Override
    public StoredTensor tensor(String name) {
        return place(name).tensor();
    }

    @Override
    public MemorySegment data(String name) {
        SafetensorsHeader.Place place = place(name);
        if (!arena.scope().isAlive()) {
            throw new CheckpointException(path.getFileName().toString(), "an open file", "one that was closed");
        }
        return data.asSlice(place.begin(), place.tensor().bytes());
    }

    @Override
    public Map<String, String> metadata() {
        return metadata;
    }

    /** The file that was opened. */
    public Path path() {
        return path;
    }

    @Override
    public synchronized void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    private SafetensorsHeader.Place place(String name) {
        SafetensorsHeader.Place place = places.get(name);
        if (place == null) {
            throw new CheckpointException(path.getFileName().toString(), "a tensor " + JsonWriter.brief(name),
                    "only " + JsonView.names(places.keySet()));
        }
        return place;
    }

    private static void writeTensor(FileChannel out, Source source, ByteBuffer staging) throws IOException {
        StoredTensor tensor = source.tensor();
        long start = out.position();
        try {
            source.transferTo(chunk -> copy(out, chunk, staging));
        } catch (WriteFailure failure) {
            throw failure.io;
        }
        long written = out.position() - start;
        if (written != tensor.bytes()) {
            throw new CheckpointException("safetensors", tensor.bytes() + " bytes of " + JsonWriter.brief(tensor.name()),
                    written + " bytes");
        }
    }

    private static void copy(FileChannel out, MemorySegment chunk, ByteBuffer staging) {
        MemorySegment stage = MemorySegment.ofBuffer(staging.clear());
        try {
            for (long at = 0; at < chunk.byteSize(); at += CHUNK) {
                int n = (int) Math.min(CHUNK, chunk.byteSize() - at);
                MemorySegment.copy(chunk, at, stage, 0, n);
                AtomicFiles.writeFully(out, staging.clear().limit(n));
            }
        } catch (IOException e) {
            throw new WriteFailure(e);
        }
    }

    /** Carries an I/O error through a source's callback. */
    private static final class WriteFailure extends RuntimeException {
        private static final long serialVersionUID = 1L;
        private final transient IOException io;

        WriteFailure(IOException io) {
            super(io);
            this.io = io;
        }
    }
}
