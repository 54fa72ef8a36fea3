"""The recall benchmark: can views that left a world's context be brought back, and is it memory that does it?"""
